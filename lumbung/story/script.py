"""The steps of the story, in order: what people do at three counters, and what goes wrong.

Each step is played on the real parts: chip, terminal, TCP, switch, ledger. What is expected stands
beside what happened; nothing is set.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lumbung.composition import Composition
from lumbung.lines import HeldRequestLine, LostAnswerLine, deliver
from lumbung.story.cast import DINSOS_MAKER, Holder
from lumbung.story.counter import TIMEOUT_MS, Counter
from lumbung.story.outcome import Step
from lumbung.story.stranger import cash_request
from lumbung.system import StoryClock
from programme.registry_port import BlockReason
from protocols.iso8583 import Codec, Message, load_spec
from terminal.journal.records import SaleItem
from terminal.purchase.basket import choose
from terminal.results import SaleResult

RUPIAH = 100
#: Seconds of story time between two customers (domain.md 5: EDC cycle 75 s).
CYCLE_SECONDS = 75
#: Cards that one day of the story uses; the next day takes the next ones.
CARDS_PER_DAY = 8

FOOD_TERMINAL, PHONE_CREDIT_TERMINAL, SUSPENDED_TERMINAL = "12400001", "12400052", "12400054"


@dataclass(slots=True)
class Stage:
    """What the steps work on."""

    parts: Composition
    clock: StoryClock
    food: Counter
    phone_credit: Counter
    suspended: Counter
    holders: list[Holder]
    say: Callable[[Step], None]
    steps: list[Step]

    def tell(self, step: Step) -> None:
        """Note a step, tell it, and let the next customer come."""
        self.steps.append(step)
        self.say(step)
        self.clock.advance(CYCLE_SECONDS)

    def balance_of(self, who: Holder) -> int:
        """Give the card's balance in the ledger, in sen."""
        account = self.parts.ledger.lookup_accounts([who.card.account_id])[0]
        assert account is not None, "every card has its account"
        return account.credit_balance

    def sale(
        self, name: str, what: str, expected: str, at: Counter, who: Holder, result: SaleResult,
        *, outcome: str = "", note: str = "",
    ) -> None:  # fmt: skip
        """Tell a step from what the terminal gave."""
        transfer = at.posted_as(result)
        self.tell(
            Step(
                name=name, what=what, expected=expected, outcome=outcome or result.outcome,
                terminal_id=at.terminal_id, card=who.card.last_four,
                amount_sen=result.amount_sen, stan=result.stan, rrn=result.rrn,
                approval_code=result.approval_code, reason=result.reason,
                transfer_id=f"{transfer:032x}" if transfer else "",
                balance_sen=result.balance_sen, note=note,
            )
        )  # fmt: skip


async def play(stage: Stage) -> str:
    """Play a day; give the buyer's slip of the first sale."""
    for counter, expected in (
        (stage.food, "00"), (stage.phone_credit, "00"), (stage.suspended, "03"),
    ):  # fmt: skip
        code = await counter.terminal.log_on()
        stage.tell(
            Step(name="log-on", what=f"terminal {counter.terminal_id} changes keys and logs on",
                 expected=expected, outcome=code, terminal_id=counter.terminal_id)
        )  # fmt: skip
    slip = await _good_sales(stage)
    await _refused_by_the_law(stage)
    await _pin(stage)
    await _blocked(stage)
    await _lost_answer(stage)
    await _reversal_first(stage)
    return slip


def _basket() -> Iterator[SaleItem]:
    for code, quantity, rupiah in (
        ("BERAS5KG", 1, 74_500), ("MINYAK1L", 2, 36_000), ("TELUR1KG", 1, 31_000),
    ):  # fmt: skip
        item = choose(code, quantity, rupiah * RUPIAH)
        assert isinstance(item, SaleItem), "the list of goods has the story's food"
        yield item


async def _good_sales(stage: Stage) -> str:
    who, at = stage.holders[0], stage.food
    total = 141_500 * RUPIAH
    first = await at.sell(who, total, basket=_basket())
    stage.sale("purchase", "rice, oil and eggs", "00", at, who, first)
    frame = at.last_request()

    posted_before = stage.parts.ledger.last_sequence
    answers = [
        _decode(await deliver(at.host, at.port, frame, timeout_ms=TIMEOUT_MS)) for _ in range(2)
    ]
    same = all(answer.text(38) == first.approval_code for answer in answers)
    posted = stage.parts.ledger.last_sequence - posted_before
    outcome = "same" if same and posted == 0 else "differs"
    stage.sale("repeat", "the very same message twice more: same answer, one posting", "same", at,
               who, first, outcome=outcome, note=f"{posted} postings")  # fmt: skip

    again = await at.sell(who, total, basket=_basket())
    outcome = "repeated" if again.repeated else again.outcome
    stage.sale("same-again", "same card, same amount again: the terminal shows the first result",
               "repeated", at, who, again, outcome=outcome)  # fmt: skip

    second = await at.sell(who, 25_000 * RUPIAH)
    stage.sale("purchase-2", "another purchase by amount", "00", at, who, second)
    void = await at.terminal.void(second.stan)
    stage.sale("void", "the shop takes it back: to the same card", "00", at, who, void)
    balance = await at.terminal.balance(at.slot(who))
    months = ", ".join(f"{m.period} Rp{m.amount_sen // RUPIAH}" for m in balance.months)
    stage.sale(
        "balance", "balance with the months that are left", "00", at, who, balance, note=months
    )
    return first.receipt_pembeli


async def _refused_by_the_law(stage: Stage) -> None:
    who = stage.holders[1]
    result = await stage.phone_credit.sell(who, 50_000 * RUPIAH)
    stage.sale("not-food", "a shop for phone credit", "58", stage.phone_credit, who, result)

    stage.sale("over-balance", "more than the card has", "51", stage.food, who,
               await stage.food.sell(who, 999_000 * RUPIAH))  # fmt: skip
    rest = stage.balance_of(who)
    stage.sale("exact-balance", "exactly what the card has", "00", stage.food, who,
               await stage.food.sell(who, rest))  # fmt: skip


async def _pin(stage: Stage) -> None:
    who, at = stage.holders[2], stage.food
    good = await at.sell(who, 10_000 * RUPIAH)
    stage.sale("pin-good", "a sale with the right PIN", "00", at, who, good)
    for name, code, what in (
        (
            "cash",
            "010000",
            "cash withdrawal, with a wrong PIN: refused before the PIN is looked at",
        ),
        ("cash-back", "090000", "purchase with cash-back: the same"),
    ):
        frame = cash_request(stage.parts, at, code, stage.clock.now_ns())
        answer = _decode(await deliver(at.host, at.port, frame, timeout_ms=TIMEOUT_MS))
        stage.tell(
            Step(name=name, what=what, expected="57", outcome=answer.text(39),
                 terminal_id=at.terminal_id, card=who.card.last_four, reason=answer.text(44))
        )  # fmt: skip
    wrong = f"{(int(who.pin) + 1) % 1_000_000:06d}"
    for count, (expected, pin) in enumerate(
        (("55", wrong), ("55", wrong), ("75", wrong), ("75", who.pin)), 1
    ):
        result = await at.sell(who, (20_000 + count * 500) * RUPIAH, pin=pin)
        what = "the right PIN, too late" if pin == who.pin else f"wrong PIN, number {count}"
        stage.sale(f"pin-{count}", what, expected, at, who, result)


async def _blocked(stage: Stage) -> None:
    for place, reason, expected, what in (
        (3, BlockReason.SUSPICION, "62", "a card that the office has blocked"),
        (4, BlockReason.LOST, "41", "a card that was reported lost"),
    ):
        who = stage.holders[place]
        stage.parts.registry.block_card(who.card.card_number, reason, DINSOS_MAKER)
        result = await stage.food.sell(who, 15_000 * RUPIAH)
        stage.sale(f"blocked-{reason.value}", what, expected, stage.food, who, result)


def _is_purchase(payload: bytes) -> bool:
    return Codec(load_spec("edc")).peek(payload).mti == "0200"


async def _lost_answer(stage: Stage) -> None:
    who, at = stage.holders[5], stage.food
    before = stage.balance_of(who)
    await at.use_line(LostAnswerLine(at.tcp_line(), _is_purchase))
    result = await at.sell(who, 60_000 * RUPIAH)
    owed = await at.terminal.settle_outstanding()
    after = stage.balance_of(who)
    done = at.terminal.journal.transactions[result.stan].reversal_code
    outcome = "restored" if (after, owed, done) == (before, 0, "00") else "not restored"
    stage.sale("lost-answer", "the answer is lost after the posting: reversed, balance restored",
               "restored", at, who, result, outcome=outcome,
               note=f"reversal answered {done}")  # fmt: skip
    await at.use_line(at.plain_line())


async def _reversal_first(stage: Stage) -> None:
    who, at = stage.holders[6], stage.food
    before = stage.balance_of(who)
    line = HeldRequestLine(at.tcp_line(), _is_purchase)
    await at.use_line(line)
    result = await at.sell(who, 45_000 * RUPIAH)
    owed = await at.terminal.settle_outstanding()
    stage.sale("reversal-first", "the request is stuck on the way: the reversal arrives first",
               "reversed", at, who, result, outcome="reversed" if not owed else "owed")  # fmt: skip
    late = _decode(await deliver(at.host, at.port, line.held, timeout_ms=TIMEOUT_MS))
    refused = late.text(39) != "00" and stage.balance_of(who) == before
    stage.tell(
        Step(name="late-original", what="then the request itself arrives: refused, nothing posted",
             expected="refused", outcome="refused" if refused else "posted",
             terminal_id=at.terminal_id, card=who.card.last_four, note=f"DE39 {late.text(39)}")
    )  # fmt: skip
    await at.use_line(at.plain_line())


def _decode(payload: bytes) -> Message:
    return Codec(load_spec("edc")).decode(payload)
