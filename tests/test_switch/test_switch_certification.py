"""The certification cases of fixtures/certification.toml, each over real sockets."""

import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerBusyError, LedgerFullError, LedgerPoisonedError
from ledger.statuses import CreateTransferStatus
from programme.chart import TransferCode
from programme.registry_port import BlockReason, CardStatus, ProxyView
from protocols.iso8583 import Message
from protocols.refusals import outcome_texts, reason_texts
from tests.test_switch.switch_edc import PIN, Chip
from tests.test_switch.switch_site import Line, Site

TABLE = tomllib.loads((Path(__file__).parents[2] / "fixtures/certification.toml").read_text())
SICK = {"busy": LedgerBusyError, "full": LedgerFullError, "lost": LedgerPoisonedError}
NETWORK = {"key-change": "161", "log-on": "001", "log-off": "002", "echo": "301"}
TOTALS = ("sales", "sales_amount", "voids", "voids_amount", "refunds", "refunds_amount")
#: Source: domain.md 7.2.
DISPLAY_COLUMNS = 21
TOLD = (
    "code", "codes", "reason", "moves", "posts", "balance", "months", "statement", "totals_told",
)  # fmt: skip
#: The one record that each kind of message leaves when money moves.
POSTED_AS = {
    "purchase": "PURCHASE", "voucher": "OUTAGE_SALE", "void": "VOID", "refund": "REFUND",
    "reversal": "REVERSAL", "fund": "DISBURSEMENT",
}  # fmt: skip
KNOWN = {
    *TOLD, "send", "do", "build", "together", "as", "of", "mti", "rupiah", "pin", "card", "shop",
    "terminal", "elements", "chip", "mac", "answer_mac", "take_keys", "spoil_mac", "approved",
    "business_date", "processing_code", "keep", "key_of", "totals", "proxy", "item", "accepts",
    "new_pin", "hours", "name", "set", "status", "purse", "category", "suspended", "designated",
    "period", "answers", "number", "is_cut",
}  # fmt: skip


class SickLedger:
    """A ledger that refuses as it is told to; all else is the real one's."""

    def __init__(self, ledger: Any) -> None:
        self.ledger = ledger
        self.answers = "well"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    def create_transfers(self, transfers: Any) -> Any:
        if self.answers in SICK:
            raise SICK[self.answers](self.answers)
        return self.ledger.create_transfers(transfers)


class Runner:
    """Plays one case."""

    def __init__(self, counter: Any, card_rupiah: int) -> None:
        self.counter, self.world = counter, counter.world
        self.world.ledger = SickLedger(self.world.ledger)
        self.cards = {"": self.world.add_card(7, card_rupiah * 100), "unknown": Chip("9" * 16)}
        self.shops = {"": counter.shop}
        self.edcs = {"": counter.edc}
        self.built: dict[str, Message] = {}
        self.site = Site(self.world)
        self.line: Line | None = None
        self.before = self.balances()
        self.last_sequence = self.world.ledger.last_sequence
        self.kinds: dict[str, str] = {}

    async def begin(self) -> None:
        await self.site.start()
        self.line = await self.site.connect()

    def balances(self) -> dict[str, int]:
        return {"card": self.world.balance(1_007), "shop": self.world.balance(5_017)}

    async def step(self, step: dict[str, Any]) -> None:
        assert step.keys() <= KNOWN, f"the runner does not know {step.keys() - KNOWN}"
        if "do" in step:
            await self.do(step)
        elif "build" in step:
            self.built[step["as"]] = self.message(step["build"], step)
            self.kinds[step["as"]] = step["build"]
        elif "together" in step:
            await self.send_together(step)
        else:
            await self.send(step)
        now = self.balances()
        moved = {name: (now[name] - self.before[name]) // 100 for name in now}
        assert moved == {"card": 0, "shop": 0} | step.get("moves", {})
        self.before = now
        assert self.posted() == self.posts_of(step)

    def posted(self) -> list[str]:
        """Give what the ledger posted since the step before; what moved nothing is left out."""
        after, self.last_sequence = self.last_sequence, self.world.ledger.last_sequence
        return [
            f"{TransferCode(entry.transfer.code).name} {entry.transfer.amount // 100}"
            for entry in self.world.ledger.entries(after)
            if entry.status == CreateTransferStatus.CREATED and entry.transfer.amount
        ]

    def posts_of(self, step: dict[str, Any]) -> list[str]:
        """Give what the step names; else one record of its kind when money moves, or none."""
        if "posts" in step or not step.get("moves"):
            return list(step.get("posts", []))
        kind = step.get("send") or step["do"]
        kind = self.kinds[step["of"]] if kind == "built" else kind
        return [f"{POSTED_AS[kind]} {abs(step['moves']['card'])}"]

    async def send(self, step: dict[str, Any]) -> None:
        edc = self.edcs[step.get("terminal", "")]
        message = self.message(step["send"], step)
        if "as" in step:
            self.built[step["as"]] = message
            self.kinds[step["as"]] = step["send"]
        raw = edc.encode(message, mac=step.get("mac", True))
        if step.get("spoil_mac"):
            raw = raw[:-1] + bytes([raw[-1] ^ 1])
        assert self.line is not None
        await self.line.send(raw)
        if step.get("is_cut"):
            assert await self.line.is_cut()
            self.line = await self.site.connect()
            return
        answer = edc.decode(await self.line.answer(), mac=step.get("answer_mac", True))
        self.check(message, answer, step)
        if step.get("take_keys"):
            edc.take_keys(answer)

    async def send_together(self, step: dict[str, Any]) -> None:
        edc, messages = self.counter.edc, [self.built[label] for label in step["together"]]
        assert self.line is not None
        await self.line.send(*map(edc.encode, messages))
        answers = {a.text(11): a.text(39) for a in [await self.answered() for _ in messages]}
        assert [answers[message.text(11)] for message in messages] == step["codes"]

    async def answered(self) -> Message:
        assert self.line is not None
        return self.counter.edc.decode(await self.line.answer())

    def check(self, request: Message, answer: Message, step: dict[str, Any]) -> None:
        assert (answer.text(39), str(answer.get(44, ""))) == (step["code"], step.get("reason", ""))
        assert answer.text(11) == request.text(11)
        if "balance" in step:
            assert int(str(answer.groups(54)[0]["amount"])) == step["balance"] * 100
        if "months" in step:
            months = answer.groups(63, "months")
            told = [[one["period"], int(str(one["amount"])) // 100] for one in months]
            assert told == step["months"]
        if "approved" in step:
            assert int(answer.text(4)) == step["approved"] * 100
        if "business_date" in step:
            assert answer.text(63, "business_date") == step["business_date"]
        if "statement" in step:
            rows = answer.groups(48, "statement")
            told = [f"{r['sign']} {int(str(r['amount'])) // 100} {r['shop']}".strip() for r in rows]
            assert told == step["statement"]
        if "totals_told" in step:
            group = answer.parts(63)["totals"]
            assert isinstance(group, dict)
            told = [int(str(group[name])) // (100 if i % 2 else 1) for i, name in enumerate(TOTALS)]
            assert told == step["totals_told"]

    def message(self, kind: str, step: dict[str, Any]) -> Message:
        made = self.changed(self.bare(kind, step), step)
        if "key_of" in step:
            for element in (7, 11, 37):
                made.elements[element] = self.built[step["key_of"]][element]
        return made

    def bare(self, kind: str, step: dict[str, Any]) -> Message:
        edc, chip = self.edcs[step.get("terminal", "")], self.cards[step.get("card", "")]
        sen, pin = step.get("rupiah", 0) * 100, step.get("pin", PIN)
        of = self.built.get(step.get("of", ""))
        if kind in NETWORK:
            return edc.network(NETWORK[kind])
        if kind in ("purchase", "cash"):
            return edc.purchase(chip, sen, pin, code=step.get("processing_code", "009800"))
        if kind in ("balance", "statement"):
            return edc.balance(chip, "319800" if kind == "balance" else "389800")
        if kind == "voucher":
            return edc.voucher(chip, sen)
        if kind == "pin-change":
            code = step.get("processing_code", "720000")
            return edc.pin_change(chip, step["new_pin"], pin, code)
        if kind == "settlement":
            totals = [n * (100 if i % 2 else 1) for i, n in enumerate(step["totals"])]
            return edc.settlement(tuple(totals), step.get("processing_code", "920000"))
        assert of is not None, f"{kind} is of another message"
        if kind == "built":
            return of
        if kind == "repeat":
            return Message(step["mti"], dict(of.elements))
        if kind == "void":
            return edc.void(of)
        if kind == "refund":
            return edc.refund(chip, of, sen)
        if kind == "upload":
            return edc.upload(of, 1)
        assert kind == "reversal", f"the runner does not know {kind}"
        return edc.reversal(of, step.get("mti", "0400"))

    def changed(self, message: Message, step: dict[str, Any]) -> Message:
        changes: dict[int, Any] = {
            int(number): None if text == "absent" else text
            for number, text in step.get("elements", {}).items()
        }
        if "chip" in step:
            tags = dict(message.parts(55))
            for tag, text in step["chip"].items():
                tags.pop(tag)
                if text != "absent":
                    tags[tag] = bytes.fromhex(text)
            changes[55] = tags
        if "shop" in step:
            changes[42] = f"{self.shops.get(step['shop'], step['shop']):15}"
        if "proxy" in step:
            changes[62] = {"proxy": step["proxy"]}
        if "item" in step:
            line = {"item": f"{step['item']:8}", "quantity": "00001000", "amount": message.text(4)}
            changes[62] = {"basket": [line]}
        if "accepts" in step:
            changes[61] = {**message.parts(61), "accepts": step["accepts"]}
        if "keep" in step:
            changes[95] = {
                "transaction_amount": f"{step['keep'] * 100:012d}",
                "settlement_amount": "0" * 12,
                "transaction_fee": "C" + "0" * 8,
                "settlement_fee": "C" + "0" * 8,
            }
        return message.replace(changes)

    async def do(self, step: dict[str, Any]) -> None:
        world, chip = self.world, self.cards[""]
        match step["do"]:
            case "advance":
                world.clock.advance(step["hours"] * 3600)
            case "block":
                world.block(chip, BlockReason(step["reason"]))
            case "expire":
                world.change_card(chip, expires_on=date(2026, 1, 4))
            case "card-status":
                world.change_card(chip, status=CardStatus(step["status"]))
            case "card-purse":
                world.change_card(chip, purse=step["purse"])
            case "shop":
                wanted = ("category", "suspended", "designated")
                world.change_shop(self.shops[""], **{n: step[n] for n in wanted if n in step})
            case "second-shop":
                self.shops["second"] = world.add_shop(18)
            case "new-terminal":
                self.edcs["new"] = world.add_edc(18, self.shops[""])
            case "fund":
                world.fund(1_007, step["period"], step["rupiah"] * 100)
            case "rule":
                self.set_rule(step["name"], step["set"])
            case "replace-card":
                world.change_card(chip, status=CardStatus.REPLACED)
                self.cards["new"] = world.add_card(8, 0, account_id=1_007)
            case "proxy":
                day = date(2026, 1, 5)
                world.registry.proxies[step["number"]] = ProxyView(
                    proxy_number=step["number"], account_id=1_007, valid_from=day, valid_until=day
                )
            case "ledger":
                assert step["answers"] in ("well", *SICK)
                world.ledger.answers = step["answers"]
            case "unblock-pin":
                assert self.site.server is not None
                await self.site.server.unblock_pin(7, "helpdesk")
            case "restart":
                await self.site.stop()
                self.site.lines.clear()
                await self.begin()
            case other:
                raise AssertionError(f"the runner cannot do {other}")

    def set_rule(self, name: str, changes: dict[str, Any]) -> None:
        assert self.site.server is not None
        core = self.site.server.node.core
        rules = core._desk.rules
        rule = getattr(rules.rules, name).model_copy(update=changes)
        core.use_rules(replace(rules, versions={**rules.versions, name: (rule,)}))


@pytest.mark.parametrize("name", TABLE["case"])
async def test_case(counter, name):
    case = TABLE["case"][name]
    runner = Runner(counter, case.get("card", 300_000))
    await runner.begin()
    try:
        for number, step in enumerate(case["steps"], 1):
            try:
                await runner.step(step)
            except AssertionError as error:
                raise AssertionError(f"{name}, step {number}: {step}\n{error}") from error
    finally:
        await runner.site.stop()


def test_texts_of_every_code_of_the_cases_are_those_on_the_screen():
    used = {
        step["code"] for case in TABLE["case"].values() for step in case["steps"] if "code" in step
    }
    texts = outcome_texts()
    assert used == set(TABLE["texts"])
    for code, text in TABLE["texts"].items():
        assert f"{texts[code].line_1} / {texts[code].line_2}" == text
        assert max(len(texts[code].line_1), len(texts[code].line_2)) <= DISPLAY_COLUMNS
    told = {code: [texts[code].sentence_id, texts[code].sentence_en] for code in used}
    assert told == TABLE["sentences"]


def test_every_reason_of_the_cases_has_its_sentence():
    steps = [step for case in TABLE["case"].values() for step in case["steps"]]
    reasons = {step["reason"].partition("=")[0] for step in steps if "reason" in step}
    assert reasons <= set(reason_texts())
