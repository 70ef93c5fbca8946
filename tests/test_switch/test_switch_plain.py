"""The plain sale: what is decided natively, and what is left to the stages."""

import ast
import importlib
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from programme.registry_port import CardStatus
from protocols.crypto.cryptogram import application_cryptogram, arqc_data_nsiccs
from switch import plain
from switch.turn import Active
from tests.test_switch.switch_world import Counter

STUB = ast.parse(Path(plain.__file__).with_name("_core.pyi").read_text("utf-8"))


@pytest.fixture
def core() -> ModuleType:
    """Give the core, or skip where it was not built."""
    try:
        return importlib.import_module("switch._core")
    except ImportError:
        if os.environ.get("LUMBUNG_REQUIRE_NATIVE") == "1":
            pytest.fail("switch._core was not built")
        pytest.skip("switch._core was not built: python -m pip install -e . with Rust")


def kinds(counter: Counter, *messages) -> list[str]:
    """Give what became of messages of one turn: answered, plain, or in the hands of a flow."""
    counter.world.node.core.desk.watch = None
    departures = counter.world.receive(*[counter.edc.encode(one) for one in messages])
    told = ["answered"] * len(departures)
    waiting = counter.world.node.core._queue
    return told + ["flow" if isinstance(one, Active) else "plain" for one, _step in waiting]


def test_stub_of_the_core_names_its_methods(core: ModuleType) -> None:
    for name in ("PlainSale", "PlainSales"):
        (stub,) = (n for n in STUB.body if isinstance(n, ast.ClassDef) and n.name == name)
        told = {n.name for n in stub.body if isinstance(n, ast.FunctionDef)} - {"__new__"}
        found = {n for n in dir(getattr(core, name)) if not n.startswith("_")}
        assert told <= found, name
        assert name == "PlainSale" or told == found


def test_sale_that_every_stage_lets_pass_is_plain_and_names_nothing(
    counter: Counter, core: ModuleType
) -> None:
    # The first sale of a batch opens it, which the state file must keep: that is the flow's.
    assert kinds(counter, counter.edc.purchase(counter.chip, 100_000)) == ["flow"]
    counter.world.finish(counter.world.node.core.next_work())
    assert kinds(counter, counter.edc.purchase(counter.chip, 100_000)) == ["plain"]
    ((sale, _step),) = counter.world.node.core._queue
    assert repr(sale) == "<PlainSale>"


@pytest.mark.parametrize(
    "change",
    [
        {"de62": {"proxy": "W00000001"}}, {"de49": "840"}, {"de22": "021"}, {"de52": None},
        {"de52": bytes(8)}, {"de7": "0101000000"}, {"de4": "000000000105"}, {"de60": {"batch":
        "000777", "invoice": "000001"}}, {"de42": "EW0000000000099"}, {"de35": None},
    ],
)  # fmt: skip
def test_sale_with_anything_to_look_at_is_left_to_the_stages(
    counter: Counter, core: ModuleType, change: dict
) -> None:
    counter.edc.send(counter.edc.purchase(counter.chip, 100_000))
    memory = counter.world.node.core.desk.memory
    before = dict(memory.velocity.spent), dict(memory.atc_marks.marks)
    found = kinds(counter, counter.edc.purchase(counter.chip, 100_000, **change))
    assert found in (["answered"], ["flow"])
    if found == ["answered"] and change != {"de52": bytes(8)}:
        assert (memory.velocity.spent, memory.atc_marks.marks) == before


@pytest.mark.parametrize("rule", ["tries", "status", "category", "limit", "hours"])
def test_state_of_card_shop_and_rules_is_the_stages_to_judge(
    counter: Counter, core: ModuleType, rule: str
) -> None:
    counter.edc.send(counter.edc.purchase(counter.chip, 100_000))
    world, desk = counter.world, counter.world.node.core.desk
    if rule == "tries":
        counter.edc.send(counter.edc.purchase(counter.chip, 100_000, "000000"))
    elif rule == "status":
        world.change_card(counter.chip, status=CardStatus.BLOCKED)
    elif rule == "category":
        world.change_shop(counter.edc.merchant_id, category="5812")
    else:
        rules = desk.rules.rules
        field, changed = (
            ("amount", {"card_day_sales_limit": 1}) if rule == "limit"
            else ("hours", {"enabled": True, "opens": rules.hours.closes,
                            "closes": rules.hours.closes})
        )  # fmt: skip
        new = getattr(rules, field).model_copy(update=changed)
        desk.rules = replace(desk.rules, rules=rules.model_copy(update={field: new}))
    assert kinds(counter, counter.edc.purchase(counter.chip, 100_000))[0] in ("answered", "flow")
    expected = {"tries": "00", "status": "62", "category": "58", "limit": "65", "hours": "05"}
    raw = counter.edc.encode(counter.edc.purchase(counter.chip, 100_000))
    answers = [counter.edc.decode(payload) for payload in world.exchange(raw)]
    assert {answer.text(39) for answer in answers} == {expected[rule]}


def test_plain_sale_that_the_ledger_refuses_is_answered_by_its_flow(
    counter: Counter, core: ModuleType
) -> None:
    counter.edc.send(counter.edc.purchase(counter.chip, 100_000))
    message = counter.edc.purchase(counter.chip, 99_000_000)
    assert kinds(counter, message) == ["plain"]
    work = counter.world.node.core.next_work()
    (departure,) = counter.world.finish(work)
    answer = counter.edc.decode(departure.payload)
    assert (answer.text(39), 38 in answer) == ("51", False)
    assert counter.world.node.core.under_way == 0
    assert not counter.world.node.core.desk.in_flight


def test_work_that_was_refused_gives_a_plain_sale_back_and_its_repeat_is_posted(
    counter: Counter, core: ModuleType
) -> None:
    counter.edc.send(counter.edc.purchase(counter.chip, 100_000))
    node, memory = counter.world.node, counter.world.node.core.desk.memory
    spent = dict(memory.velocity.spent)
    message = counter.edc.purchase(counter.chip, 100_000)
    assert kinds(counter, message) == ["plain"]
    node.core.next_work()
    (departure,) = node.core.refuse_work("91", "busy")
    assert counter.edc.decode(departure.payload).text(39) == "91"
    assert memory.velocity.spent == spent
    assert not node.core.desk.in_flight
    assert counter.world.postings() == 1


def test_last_rupiah_of_a_card_is_the_flows_to_answer(counter: Counter, core: ModuleType) -> None:
    chip = counter.world.add_card(30, 250_000)
    counter.edc.send(counter.edc.purchase(chip, 100_000))
    assert kinds(counter, counter.edc.purchase(chip, 150_000)) == ["plain"]
    (departure,) = counter.world.finish(counter.world.node.core.next_work())
    answer = counter.edc.decode(departure.payload)
    assert answer.text(39) == "00"
    assert "months" not in answer.parts(63)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("9F02", "000000100100"), ("9F03", "000000000100"), ("5F2A", "0840"), ("9C", "01"),
        ("9F27", "40"), ("5F34", "01"), ("5A", "9360099900000027"),
        ("57", "9360099900000027D30122200000000000"),
    ],
)  # fmt: skip
def test_chip_that_signed_something_else_is_not_plain(
    counter: Counter, core: ModuleType, tag: str, value: str
) -> None:
    counter.edc.send(counter.edc.purchase(counter.chip, 100_000))
    request = counter.edc.purchase(counter.chip, 100_000)
    tags = request.parts(55)
    tags[tag] = bytes.fromhex(value)
    signed = {name: part for name, part in tags.items() if isinstance(part, bytes)}
    assert counter.chip.session is not None
    tags["9F26"] = application_cryptogram(counter.chip.session, arqc_data_nsiccs(signed))
    assert counter.edc.send(request)[0].text(39) == "88"
    assert counter.world.postings() == 1


def test_first_use_of_a_key_set_by_a_sale_voids_the_set_before(
    counter: Counter, core: ModuleType
) -> None:
    counter.edc.send(counter.edc.purchase(counter.chip, 100_000))
    edc, sets = counter.edc, counter.world.node.core.desk.key_sets
    before = edc.mac_key, edc.pin_key, edc.key_set
    edc.take_keys(edc.send(edc.network("161"), mac=False)[0])
    assert len(sets.valid(counter.world.registry.terminals[edc.terminal_id])) == 2
    assert edc.send(edc.purchase(counter.chip, 100_000))[0].text(39) == "00"
    assert sets.active[edc.terminal_id] == edc.key_set
    edc.mac_key, edc.pin_key, edc.key_set = before
    assert edc.send(edc.purchase(counter.chip, 100_000), answer_mac=False)[0].text(39) == "63"
