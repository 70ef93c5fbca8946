"""Whole purchases, with faults, through both twins: the same decisions, bytes and records."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from protocols.crypto import engine, pure
from protocols.iso8583 import Message, PureCodec, load_spec
from protocols.iso8583.facts import facts_reader
from switch import plain
from switch.plain import PlainSales
from switch.request import Request
from switch.turn import Active
from tests.test_switch.switch_edc import Chip, Edc
from tests.test_switch.switch_world import World

#: Turns of one life, and messages of a turn at most: parked repeats need several in one turn.
TURNS, TOGETHER = 120, 5
#: Time between two turns, and a stack of cards that such a life completes now and then.
BETWEEN_NS, STACK = 3 * 10**9, {"cards": 4, "seconds": 40, "emptied_cards": 2}


@contextmanager
def pure_twins() -> Iterator[None]:
    """Have codec, facts and cryptography done in Python."""
    codec = PureCodec(load_spec("edc"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("switch.assembly.codec_of", lambda _spec: codec)
        patch.setattr("switch.reception.read_request", facts_reader(Request, native=False))
        patch.setattr(engine.current, "engine", pure)
        yield


def count_plain(patch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the sales that were decided natively, and those that came back to their flow."""
    found: Counter[str] = Counter()
    complete, resume = PlainSales.complete, PlainSales.resume

    def counted(plain: PlainSales, stepping: list[Any], *given: Any) -> None:
        found["plain"] += sum(not isinstance(one, Active) for one in stepping)
        complete(plain, stepping, *given)

    def resumed(plain: PlainSales, *given: Any) -> Active:
        found["resumed"] += 1
        return resume(plain, *given)

    patch.setattr(PlainSales, "complete", counted)
    patch.setattr(PlainSales, "resume", resumed)
    return found


def city(directory: Path) -> tuple[World, list[Edc], list[Chip]]:
    """Give a world with three counters, one of them no food shop, and cards in every state."""
    directory.mkdir()
    world = World(directory)
    shops = [world.add_shop(17), world.add_shop(18), world.add_shop(19, "5812")]
    terminals = [world.add_edc(17 + n, shop).start() for n, shop in enumerate(shops)]
    chips = [world.add_card(n, 5_000_000) for n in range(1, 7)]
    world.change_card(chips[-1], pan_sequence="01")
    chips += [world.add_card(n, 25_000) for n in range(7, 10)]
    chips.append(Chip("9360099900099995"))
    desk = world.node.core.desk
    stack = desk.rules.rules.card_stack.model_copy(update=STACK)
    rules = desk.rules.rules.model_copy(update={"card_stack": stack})
    desk.rules = replace(desk.rules, rules=rules)
    return world, terminals, chips


def life(source: random.Random, world: World, terminals: list[Edc], chips: list[Chip]) -> Message:
    """Give the next message of a city: mostly purchases, some of them wrong in one thing."""
    edc, chip = source.choice(terminals), source.choice(chips)
    amount = source.choice([100, 12_500, 150_000, 5_000_100, 0, 105])
    kind = source.randrange(10)
    if kind < 6 and source.random() < 0.5:
        return edc.purchase(chip, source.choice([100, 12_500, 150_000, 5_000_100]))
    if kind < 6:
        wrong = source.choice([
            {}, {}, {}, {}, {"de4": "000000099900"}, {"de49": "840"}, {"de22": "021"},
            {"de42": "EW0000000000099"}, {"de7": "0101000000"}, {"de52": bytes(8)}, {"de35": None},
            {"de52": None}, {"de23": "009"}, {"de60": None}, {"de11": "000001"}, {"de18": "5812"},
            {"de61": {"operator": "OP01", "key_set": "0009"}}, {"de62": {"proxy": "W00000001"}},
        ])  # fmt: skip
        pin = "123456" if source.random() < 0.9 else "000000"
        message = edc.purchase(chip, amount, pin, **wrong)
        if source.random() < 0.1:
            tag = source.choice(["9F26", "9F36", "9F02", "9F27", "9F03", "5F34", "9C"])
            tags = message.parts(55)
            fill = source.choice([b"\0", b"\x11", b"\xc1"])
            tags[tag] = fill * len(tags[tag])
        return message
    if kind == 6:
        return edc.balance(chip)
    if kind == 7:
        return edc.purchase(chip, amount, code="013000")
    original = edc.purchase(chip, 12_500)
    return original if kind == 8 else edc.reversal(original)


def turns_of(seed: int, directory: Path) -> tuple[list[list[bytes]], list[object]]:
    """Give the turns of a life, made on the twin in use, and what came of them."""
    source = random.Random(seed)
    world, terminals, chips = city(directory)
    by_name = {edc.terminal_id: edc for edc in terminals}
    sent: list[bytes] = []
    turns = []
    for _ in range(TURNS):
        turn = []
        for _ in range(source.randrange(1, TOGETHER + 1)):
            message = life(source, world, terminals, chips)
            raw = by_name[message.text(41)].encode(message)
            fate = source.random()
            if fate < 0.05:
                at = source.randrange(len(raw))
                raw = raw[:at] + bytes([raw[at] ^ 1 << source.randrange(8)]) + raw[at + 1 :]
            elif fate < 0.2 and sent:
                raw = source.choice(sent[-5:])
            sent.append(raw)
            turn.append(raw)
        turns.append(turn)
    return turns, outcome(world, turns)


def outcome(world: World, turns: list[list[bytes]]) -> list[object]:
    """Give every answer and cut in order, then the ledger's records and the counters."""
    told: list[object] = []
    for number, turn in enumerate(turns):
        world.clock.now += BETWEEN_NS
        alter(world, number)
        told.append(world.exchange(*turn))
    told.append(world.node.core.events)
    told += [
        (e.transfer.id, e.transfer.amount, e.transfer.user_data_128, e.transfer.user_data_64,
         e.status, e.debit_balance_after)
        for e in world.ledger.entries()
    ]  # fmt: skip
    told += [remembered(world), dict(world.node.core.counters)]
    world.close()
    return told


def alter(world: World, number: int) -> None:
    """Have the registry changed: in some turns a shop or a card may not, in the next it may."""
    shop, pan = sorted(world.registry.merchants)[0], sorted(world.registry.cards)[0]
    cards, shops = world.registry.cards, world.registry.merchants
    card = replace(cards[pan], expires_on=date(2030, 12, 31))
    cards[pan], shops[shop] = card, replace(shops[shop], suspended=False, designated=True)
    if number % 8 == 1:
        shops[shop] = replace(shops[shop], suspended=True)
    elif number % 8 == 3:
        cards[pan] = replace(card, expires_on=date(2025, 12, 31))
    elif number % 8 == 5:
        shops[shop] = replace(shops[shop], designated=False)


def remembered(world: World) -> list[object]:
    """Give what a node remembers between messages."""
    core, memory = world.node.core, world.node.core.desk.memory
    batches = {key: (b.number, b.counted, b.totals, b.changed) for key, b in
               memory.batches.open.items()}  # fmt: skip
    return [
        memory.velocity.spent, memory.velocity.sales, memory.day_index.ids,
        memory.atc_marks.marks, memory.atc_marks.changed, memory.pin_tries.charged,
        {key: list(line) for key, line in memory.stacks.recent.items()},
        memory.stacks.quiet_until_ns, set(memory.answers.known), batches,
        core.under_way, core.desk.in_flight, core.strangers.proved,
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_random_city_life_gives_the_same_answers_and_records_in_both_twins(
    seed: int, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = count_plain(monkeypatch)
    turns, native = turns_of(seed, directory / "built")
    assert not plain.IS_NATIVE or counted["plain"] > 20, counted
    with pure_twins():
        again, _terminals, _chips = city(directory / "pure")
        told = outcome(again, turns)
    for number, (one, other) in enumerate(zip(native, told, strict=True)):
        assert one == other, f"seed {seed}, place {number}"
    codes = {name.partition("/")[2] for name in native[-1]}  # type: ignore[attr-defined]
    assert {"00", "88", "14", "03", "58", "63"} <= codes, "the life is a life"
