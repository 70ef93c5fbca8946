"""Measure whole virtual card transactions per second: card alone, terminal with card, PC/SC.

`make bench SUITE=cards`, or `python tests/bench/bench_cards.py` for the table alone. A transaction:
SELECT, GPO, records, GENERATE AC, EXTERNAL AUTHENTICATE, GENERATE AC, with the issuer's ARPC; with
CDA both cryptograms are signed and checked, under card keys of `key_bits`. Each case is given by
wall clock (`per_s`) and by this process's processor time (`cpu_per_s`), because a machine may be
shared: the best of several stretches, and their median. `floor-two-signatures` is what the two RSA
operations of a CDA purchase take by themselves. APDUs over real PC/SC are `pcsc_bench`.
"""

import datetime
import random
import statistics
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import count
from typing import Any

import figures
import pcsc_bench

from cardsim import Card, CardImage, personalise, published_authority
from protocols.crypto import emv_keys, engine
from protocols.crypto.cryptogram import arpc_method1
from protocols.emv import commands
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import AcType
from protocols.values import Pan, SecretBytes
from terminal.kernel import (
    TerminalData,
    TransactionInput,
    complete_online,
    default_terminal_data,
    finish_tap,
    laboratory_terminal_data,
    start_tap,
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


def make_image(profile: str, generator: random.Random, pan: Pan = PAN) -> CardImage:
    """Give an image under the fixed test key."""
    return personalise(
        profile,
        pan=pan,
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


def spare_counter(card: Card) -> None:
    """Keep a card that is used far more often than a real one below its last counter."""
    state = card.image.applications[0].state
    if state.atc > 60_000:
        state.atc = state.last_online_atc = 0


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
        spare_counter(card)
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


def card_alone_cda(profile: str = "emv-generic") -> Callable[[], int]:
    """Give one whole purchase of a signing card as fixed commands, both cryptograms signed.

    Two signatures, each made for its own transaction: a terminal that asks for one in the first
    GENERATE AC asks for one in the second too (EMV 4.4 Book 3, 10.8; CDA mode 1).
    """
    card = make_card(profile)
    purchase = bytes.fromhex("000014150000" + "00" * 6 + "0360" + "0000008000" + "0360260105")
    cdol1 = purchase + bytes.fromhex("006162636422" + "00" * 10 + "1F0302")
    cdol2 = b"00" + purchase + bytes.fromhex("0061626364")
    image = card.image.applications[0]
    head = [
        commands.select(image.aid),
        commands.get_processing_options(bytes.fromhex("036020D8C8")),
        *(commands.read_record(sfi, number) for sfi, number in image.records),
    ]
    raw_head = [command.encoded() for command in head]
    first = commands.generate_ac(AcType.ARQC, cdol1, cda=True).encoded()
    second = commands.generate_ac(AcType.TC, cdol2, cda=True).encoded()

    def run() -> int:
        for raw in raw_head:
            assert card.apdu(raw)[-2:] == b"\x90\x00"
        assert card.apdu(first)[6] == AcType.ARQC
        assert card.apdu(second)[6] == AcType.TC
        spare_counter(card)
        return 1

    return run


def two_signatures(authority: str) -> Callable[[], int]:
    """Give two bare signatures with a card's key."""
    key = published_authority(authority).card_keys[0]
    content = b"\x6a" + bytes(len(key.public) - 2) + b"\xbc"

    def run() -> int:
        key.sign(content)
        key.sign(content)
        return 1

    return run


def terminal_and_card(profile: str, data: TerminalData) -> Callable[[], int]:
    """Give one whole purchase through the kernel."""
    card = make_card(profile)
    given = TransactionInput(
        14_150_000, datetime.date(2026, 1, 5), datetime.time(9, 0), "00", b"abcd", 1
    )

    def run() -> int:
        outcome = drive(start_transaction(data, given), card)
        key = emv_keys.common_session_key(UDK, outcome.de55["9F36"])
        arpc = arpc_method1(key, outcome.de55["9F26"], b"00") + b"00"
        completion = drive(complete_online(outcome.context, "00", arpc), card)
        assert completion.kind.value == "approved"
        # Combined signatures set the bit of data authentication and no bit of its failure.
        assert completion.tsi[0] & 0x80 == (0x80 if profile == "emv-generic" else 0)
        assert not completion.tvr[0] & 0x4C
        spare_counter(card)
        return 1

    return run


def terminal_and_tap() -> Callable[[], int]:
    """Give one whole tap through the kernel."""
    card = make_card("ssn")
    data = default_terminal_data(terminal_id="12400017", merchant_id="W001")
    given = TransactionInput(
        14_150_000, datetime.date(2026, 1, 5), datetime.time(9, 0), "00", b"abcd", 1
    )

    def run() -> int:
        outcome = drive(start_tap(data, given), card)
        assert finish_tap(outcome.context, "00").kind.value == "approved"
        spare_counter(card)
        return 1

    return run


def personalisation(profile: str) -> Callable[[], int]:
    """Give the personalisation of one card, each of another number."""
    generator = random.Random(7)
    numbers = count(18)

    def run() -> int:
        make_image(profile, generator, Pan(f"93600999{next(numbers) % 10**8:08d}"))
        return 1

    return run


def thousand_cards(profile: str) -> float:
    """Give the seconds that personalising 1,000 cards takes: the best of three."""
    run = personalisation(profile)
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        for _ in range(1_000):
            run()
        best = min(best, time.perf_counter() - begin)
    return best


#: Stretches of a case. Short ones: a machine's other work strikes some of them and not all.
STRETCHES = 25


def rate(run: Callable[[], int], seconds: float) -> dict[str, float]:
    """Give runs per second: the best stretch, the median, and the best by processor time."""
    for _ in range(50):
        run()
    rates, cpu_rates = [], []
    for _ in range(STRETCHES):
        done, begin, begin_cpu = 0, time.perf_counter(), time.process_time()
        end = begin + seconds / STRETCHES
        while (now := time.perf_counter()) < end:
            done += run()
        rates.append(done / (now - begin))
        cpu_rates.append(done / (time.process_time() - begin_cpu))
    return {
        "per_s": max(rates),
        "median_per_s": statistics.median(rates),
        "cpu_per_s": max(cpu_rates),
    }


def measure(seconds: float = 2.0) -> list[figures.Row]:
    """Give the rows of `build/bench.json`."""
    city = default_terminal_data(terminal_id="12400017", merchant_id="W001")
    # No PIN pad, so that the cryptograms are measured and not the PIN's encipherment.
    laboratory = replace(
        laboratory_terminal_data(terminal_id="12400017", merchant_id="W001"),
        terminal_capabilities=bytes.fromhex("2008C8"),
    )
    cases = {
        "transaction": card_alone(),
        "transaction-cda": card_alone_cda(),
        "floor-two-signatures": two_signatures("published"),
        "transaction-cda-long": card_alone_cda("emv-long"),
        "transaction-with-terminal": terminal_and_card("ssn", city),
        "transaction-with-terminal-cda": terminal_and_card("emv-generic", laboratory),
        "tap-with-terminal": terminal_and_tap(),
        "personalise": personalisation("ssn"),
        "personalise-signed": personalisation("emv-generic"),
    }
    subject = "ours-native" if engine.is_native() else "ours-pure"
    rows = []
    for case, run in cases.items():
        for metric, value in rate(run, seconds).items():
            rows.append(
                figures.Row(
                    suite="cards", case=case, subject=subject, metric=metric,
                    value=round(value), unit="1/s",
                )
            )  # fmt: skip
    for profile in ("ssn", "emv-generic"):
        seconds_taken = thousand_cards(profile)
        rows.append(
            figures.Row(
                suite="cards", case=f"personalise-1000-{profile}", subject=subject, metric="s",
                value=round(seconds_taken, 3), unit="s",
            )
        )  # fmt: skip
    return rows + key_bits(subject) + pcsc_bench.measure()


def key_bits(subject: str) -> list[figures.Row]:
    """Give the card key's length beside each case that signs."""
    authorities = {
        "transaction-cda": "published", "transaction-cda-long": "published-long",
        "floor-two-signatures": "published",
        "transaction-with-terminal-cda": "published", "personalise-signed": "published",
        "personalise-1000-emv-generic": "published",
    }  # fmt: skip
    return [
        figures.Row(
            suite="cards", case=case, subject=subject, metric="key_bits",
            value=8 * len(published_authority(name).card_keys[0].public), unit="bit",
        )
        for case, name in authorities.items()
    ]  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(figures.table(measure()) + "\n")
