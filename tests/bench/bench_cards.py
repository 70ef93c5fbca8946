"""Measure whole virtual card transactions per second: card alone, and terminal with card.

`make bench SUITE=cards`, or `python tests/bench/bench_cards.py` for the table alone. A transaction:
SELECT, GPO, three records, GENERATE AC, EXTERNAL AUTHENTICATE, GENERATE AC, with the issuer's ARPC.
"""

import datetime
import random
import sys
import time
from collections.abc import Callable, Generator
from typing import Any

import figures

from cardsim import Card, CardImage, personalise
from protocols.crypto import emv_keys, engine
from protocols.crypto.cryptogram import arpc_method1
from protocols.emv import commands
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import AcType
from protocols.values import Pan, SecretBytes
from terminal.kernel import (
    TransactionInput,
    complete_online,
    default_terminal_data,
    start_transaction,
)

UDK = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
PAN = Pan("9360099900000018")


class StillClock:
    """A clock that stands: the card reads none in these commands."""

    def now_ns(self) -> int:
        """Give 0."""
        return 0

    def monotonic_ns(self) -> int:
        """Give 0."""
        return 0


def make_image(profile: str, generator: random.Random) -> CardImage:
    """Give an image under the fixed test key."""
    return personalise(
        profile,
        pan=PAN,
        expiry=datetime.date(2030, 12, 31),
        psn="01",
        name="BENCH",
        udk_ac=UDK,
        random_bytes=generator.randbytes,
    )


def make_card(profile: str) -> Card:
    """Give a powered card."""
    generator = random.Random(7)
    card = Card(make_image(profile, generator), StillClock(), generator.randbytes)
    card.power()
    return card


def card_alone() -> Callable[[], int]:
    """Give one whole purchase as fixed commands, the ARPC made by the issuer's side."""
    card = make_card("ssn")
    purchase = bytes.fromhex("000014150000" + "00" * 6 + "0360" + "8000048000" + "0360260105")
    cdol1 = purchase + bytes.fromhex("006162636422020300")
    cdol2 = purchase + bytes.fromhex("00616263643030")
    head = [
        commands.select(bytes.fromhex("F053534E01")),
        commands.get_processing_options(bytes.fromhex("0360036000")),
        commands.read_record(1, 1),
        commands.read_record(2, 1),
        commands.read_record(2, 2),
    ]
    raw_head = [command.encoded() for command in head]
    first = commands.generate_ac(AcType.ARQC, cdol1).encoded()
    second = commands.generate_ac(AcType.TC, cdol2).encoded()

    def run() -> int:
        for raw in raw_head:
            assert card.apdu(raw)[-2:] == b"\x90\x00"
        answer = card.apdu(first)
        atc, arqc = answer[9:11], answer[14:22]
        key = emv_keys.common_session_key(UDK, atc)
        arpc = arpc_method1(key, arqc, b"00") + b"00"
        assert card.apdu(commands.external_authenticate(arpc).encoded()) == b"\x90\x00"
        assert card.apdu(second)[5] == AcType.TC
        if card.image.applications[0].state.atc > 60_000:
            card.image.applications[0].state.atc = 0
        return 1

    return run


def drive(steps: Generator[CommandApdu, ResponseApdu, Any], card: Card) -> Any:
    """Drive a kernel generator over a T=1 card."""
    try:
        command = next(steps)
        while True:
            command = steps.send(ResponseApdu.parse(card.apdu(command.encoded())))
    except StopIteration as stop:
        return stop.value


def terminal_and_card() -> Callable[[], int]:
    """Give one whole purchase through the kernel."""
    card = make_card("ssn")
    data = default_terminal_data(terminal_id="12400017", merchant_id="W001")
    given = TransactionInput(
        14_150_000, datetime.date(2026, 1, 5), datetime.time(9, 0), "00", b"abcd", 1
    )

    def run() -> int:
        outcome = drive(start_transaction(data, given), card)
        key = emv_keys.common_session_key(UDK, outcome.de55["9F36"])
        arpc = arpc_method1(key, outcome.de55["9F26"], b"00") + b"00"
        completion = drive(complete_online(outcome.context, "00", arpc), card)
        assert completion.kind.value == "approved"
        if card.image.applications[0].state.atc > 60_000:
            card.image.applications[0].state.atc = 0
        return 1

    return run


def personalisation() -> Callable[[], int]:
    """Give the personalisation of one card."""
    generator = random.Random(7)

    def run() -> int:
        make_image("ssn", generator)
        return 1

    return run


def rate(run: Callable[[], int], seconds: float) -> float:
    """Give runs per second: the best of three stretches, after a warm-up."""
    for _ in range(50):
        run()
    best = 0.0
    for _ in range(3):
        count, begin = 0, time.perf_counter()
        end = begin + seconds / 3
        while (now := time.perf_counter()) < end:
            count += run()
        best = max(best, count / (now - begin))
    return best


def measure(seconds: float = 3.0) -> list[figures.Row]:
    """Give the rows of `build/bench.json`."""
    cases = {
        "transaction": card_alone(),
        "transaction-with-terminal": terminal_and_card(),
        "personalise": personalisation(),
    }
    subject = "ours-native" if engine.is_native() else "ours-pure"
    return [
        figures.Row(
            suite="cards",
            case=case,
            subject=subject,
            metric="per_s",
            value=round(rate(run, seconds)),
            unit="1/s",
        )
        for case, run in cases.items()
    ]


if __name__ == "__main__":
    sys.stdout.write(figures.table(measure()) + "\n")
