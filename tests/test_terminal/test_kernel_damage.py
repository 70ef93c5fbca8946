"""Whatever a card answers, the kernel gives an outcome: cuts, flips, noise, endless lists."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.emv import tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.values import SecretBytes
from terminal.kernel import (
    CompletionOutcome,
    KernelOutcome,
    OutcomeKind,
    complete_online,
    laboratory_terminal_data,
    start_tap,
    start_transaction,
)
from terminal.kernel import limits as kernel_limits
from tests.card_kit import (
    TERMINAL,
    drive,
    issuer_answer,
    make_card,
    make_image,
    purchase,
    with_application,
)
from tests.tables import every_row

Change = Callable[[ResponseApdu], ResponseApdu]


def whole(change_at: int, change: Change) -> tuple[KernelOutcome, CompletionOutcome | None]:
    """Run a purchase with the answer to one command changed."""
    card = make_card()
    count = 0

    def tamper(_command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
        nonlocal count
        count += 1
        return change(answer) if count - 1 == change_at else answer

    outcome = drive(start_transaction(TERMINAL, purchase()), card, tamper)
    if outcome.context is None:
        return outcome, None
    steps = complete_online(outcome.context, "00", issuer_answer(outcome.de55))
    return outcome, drive(steps, card, tamper)


def answers() -> list[ResponseApdu]:
    """Give all answers of an undisturbed purchase."""
    seen: list[ResponseApdu] = []

    def keep(answer: ResponseApdu) -> ResponseApdu:
        seen.append(answer)
        return answer

    for index in range(12):
        whole(index, keep)
    return seen


ANSWERS = answers()


@every_row("index", range(len(ANSWERS)))
def test_answer_cut_at_every_byte_gives_an_outcome(index: int) -> None:
    for length in range(len(ANSWERS[index].data)):
        outcome, completion = whole(
            index, lambda answer, n=length: ResponseApdu(answer.data[:n], answer.sw1, answer.sw2)
        )
        assert isinstance(outcome, KernelOutcome)
        directory_step = index < 3  # a bad directory only sends the kernel to its list of AIDs
        if outcome.kind is OutcomeKind.ONLINE and not directory_step:
            assert completion is not None
            assert completion.must_reverse


@settings(max_examples=60)
@given(
    index=st.integers(0, len(ANSWERS) - 1),
    data=st.one_of(st.binary(max_size=64), st.binary(min_size=200, max_size=256)),
    sw=st.one_of(st.just(0x9000), st.integers(0, 0xFFFF)),
)
def test_answer_of_noise_gives_an_outcome(index: int, data: bytes, sw: int) -> None:
    outcome, _ = whole(index, lambda _answer: ResponseApdu(data, sw >> 8, sw & 0xFF))
    assert isinstance(outcome, KernelOutcome)


@settings(max_examples=60)
@given(index=st.integers(0, len(ANSWERS) - 1), seed=st.integers(0, 2**32))
def test_answer_with_flipped_bytes_gives_an_outcome(index: int, seed: int) -> None:
    generator = random.Random(seed)

    def flip(answer: ResponseApdu) -> ResponseApdu:
        if not answer.data:
            return answer
        data = bytearray(answer.data)
        for _ in range(generator.randint(1, 3)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        return ResponseApdu(bytes(data), answer.sw1, answer.sw2)

    outcome, _ = whole(index, flip)
    assert isinstance(outcome, KernelOutcome)


def test_directory_without_end_stops_at_its_bound() -> None:
    entry = tlv.build([("61", tlv.build([("4F", bytes.fromhex("A000000003101001"))]))])
    record = tlv.build([("70", entry)])
    card, count = make_card(), 0

    def endless(command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
        nonlocal count
        if command.ins == 0xB2 and command.p2 == 0x0C and count < 1000:
            count += 1
            return ResponseApdu.status(0x9000, record)
        return answer

    outcome = drive(start_transaction(TERMINAL, purchase()), card, endless)
    assert count >= kernel_limits.DIRECTORY_RECORDS
    assert count <= kernel_limits.DIRECTORY_RECORDS + 1
    assert isinstance(outcome, KernelOutcome)


def test_partial_selection_without_end_stops_at_its_bound() -> None:
    count = 0

    def endless(command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
        nonlocal count
        if command.ins == 0xA4 and command.data[:1] != b"\xa0":
            return ResponseApdu.status(0x6A82)
        if command.ins != 0xA4:
            return answer
        count += 1
        name = command.data[:7] + count.to_bytes(2, "big")
        inner = tlv.build([("84", name), ("A5", tlv.build([("50", b"X")]))])
        return ResponseApdu.status(0x9000, tlv.build([("6F", inner)]))

    outcome = drive(start_transaction(TERMINAL, purchase()), make_card(), endless)
    assert outcome.kind is OutcomeKind.NOT_ACCEPTED
    assert kernel_limits.CANDIDATES <= count <= 2 * kernel_limits.CANDIDATES


LABORATORY = laboratory_terminal_data(terminal_id="12400017")
SIGNING = make_image("emv-generic")
CAPABILITIES = ("20D8C8", "20D8C0", "20D880")


def damaged(seed: int) -> KernelOutcome:
    """Run a signing card's purchase, or a tap, with chance damage to some answers."""
    generator = random.Random(seed)

    def damage(_command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
        if generator.random() > 0.15 or not answer.data:
            return answer
        data = bytearray(answer.data)
        kind = generator.randrange(3)
        if kind == 0:
            data[generator.randrange(len(data))] = generator.randrange(256)
        elif kind == 1:
            del data[generator.randrange(len(data)) :]
        else:
            data = bytearray(generator.randbytes(generator.randrange(256)))
        sw1 = 0x90 if generator.random() > 0.1 else generator.choice((0x61, 0x62, 0x63, 0x6A))
        return ResponseApdu(bytes(data), sw1, 0x00)

    if seed % 4 == 0:
        outcome: KernelOutcome = drive(start_tap(TERMINAL, purchase()), make_card(), damage)
        return outcome
    state = replace(SIGNING.applications[0].state)
    card = make_card(with_application(SIGNING, state=state), seed=seed)
    capabilities = bytes.fromhex(CAPABILITIES[seed % len(CAPABILITIES)])
    data = replace(LABORATORY, terminal_capabilities=capabilities)
    pins = lambda _left: SecretBytes(b"123456") if generator.random() < 0.8 else None  # noqa: E731
    outcome = drive(start_transaction(data, purchase(), pins, generator.randbytes), card, damage)
    if outcome.context is not None:
        answer = issuer_answer(outcome.de55)
        drive(complete_online(outcome.context, "00", answer), card, damage)
    return outcome


def run_damaged(seeds: range) -> None:
    for seed in seeds:
        try:
            outcome = damaged(seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        assert isinstance(outcome, KernelOutcome), f"seed {seed}"
        if outcome.context is not None:
            assert len(outcome.de55["9F26"]) == 8, f"seed {seed}"


def test_signing_card_or_tap_with_damaged_answers_gives_an_outcome() -> None:
    run_damaged(range(60))


@pytest.mark.slow
def test_signing_card_or_tap_with_damaged_answers_gives_an_outcome_in_thousands() -> None:
    run_damaged(range(60, 3_000))
