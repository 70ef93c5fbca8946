"""Laws: any work is answered as the oracle answers it; any bytes are judged, never believed."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.frame import FrameHeader
from ledger.pages import read_identity, read_mark, read_segment_header
from ledger.pure import PureLedger, open_pure_on
from ledger.record import Record, pack_body, seal, unpack_body, unseal
from ledger.structures import AMOUNT_ALL, AMOUNT_MAX, ID_MAX, Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes
from tests.test_ledger.ledger_disk import SimulatedDisk
from tests.test_ledger.ledger_oracle import Oracle

ids = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, ID_MAX])
account_ids = st.sampled_from([0, 1, 1, 2, 2, 3, 9, ID_MAX])
amounts = st.sampled_from([0, 1, 5, 5, 10, AMOUNT_MAX, AMOUNT_MAX + 1, AMOUNT_ALL])
transfers = st.builds(
    Transfer,
    id=ids,
    debit_account_id=account_ids,
    credit_account_id=account_ids,
    amount=amounts,
    ledger=st.sampled_from([0, 1, 1, 1, 2]),
    code=st.sampled_from([0, 1, 1, 1]),
    flags=st.one_of(st.sampled_from([0, 0, 1, 2, 2, 4, 8]), st.integers(0, 511)),
    pending_id=st.one_of(st.just(0), ids),
    timeout=st.sampled_from([0, 0, 1]),
    user_data_64=st.sampled_from([0, 0, 1]),
)
work = st.lists(
    st.tuples(st.sampled_from([0, 1_000_000_000, -1]), st.lists(transfers, max_size=5)), max_size=12
)
u64 = st.integers(0, (1 << 64) - 1)
u32 = st.integers(0, (1 << 32) - 1)
u16 = st.integers(0, (1 << 16) - 1)
u128 = st.integers(0, ID_MAX)
i64 = st.integers(-(1 << 63), (1 << 63) - 1)
records = st.builds(
    Record,
    *(u64, u64, u128, u32, u32, u64, u64, u128, u64, u32, u32, u32, u16, u16),
    *(st.integers(1, 6), st.just(0), i64, i64),
    unknown_id=st.just(0),
)
refusals = st.builds(
    Record,
    *(u64, u64, u128, u32, u32, u64, u64, u128, u64, u32, u32, u32, u16, u16),
    *(st.just(7), st.sampled_from([21, 22, 25]), st.just(0), st.just(0)),
    unknown_id=u128.filter(bool),
)


def small_world(clock: SteppingClock) -> tuple[PureLedger, Oracle]:
    """Give a ledger in memory and its oracle, both with three accounts, two of them limited."""
    ledger = open_pure_on(
        SimulatedDisk(random.Random(0)),
        now_ns=clock,
        random_bytes=counting_bytes(),
        segment_size=16_384,
    )
    oracle = Oracle()
    accounts = [Account(id=n, ledger=1, code=1, flags=(0, 2, 4)[n - 1]) for n in (1, 2, 3)]
    assert ledger.create_accounts(accounts) == oracle.create_accounts(accounts, clock.now)
    return ledger, oracle


@settings(max_examples=25)
@given(work)
def test_any_work_is_answered_as_the_oracle_answers(
    batches: list[tuple[int, list[Transfer]]],
) -> None:
    clock = SteppingClock()
    ledger, oracle = small_world(clock)
    for step, events in batches:
        clock.now += step
        assert ledger.create_transfers(events) == oracle.create_transfers(events, clock.now)
    assert list(ledger.accounts()) == oracle.accounts()
    entries = [(entry.transfer, entry.status) for entry in ledger.entries()]
    assert entries == [(fact.transfer, fact.status) for fact in oracle.facts]
    assert ledger.verify().sum_minor == 0


def test_every_combination_of_flags_is_answered_as_the_oracle_answers() -> None:
    cases = [
        {"flags": flags, "pending_id": pending_id, "amount": amount}
        for flags in range(512)
        for pending_id in (0, 1, 2)
        for amount in (0, AMOUNT_ALL)
    ]
    for start in range(0, len(cases), 40):
        clock = SteppingClock()
        ledger, oracle = small_world(clock)
        base = {"debit_account_id": 1, "credit_account_id": 2, "ledger": 1, "code": 1}
        batches = [[Transfer(id=1, amount=5, flags=2, **base), Transfer(id=2, amount=9, **base)]]
        for number, case in enumerate(cases[start : start + 40], 10):
            unnamed = case["flags"] & 12 and number % 2
            fields = dict.fromkeys(base, 0) if unnamed else base
            batches.append([Transfer(id=number, **{**fields, **case})])
        for events in batches:
            assert ledger.create_transfers(events) == oracle.create_transfers(events, clock.now)
        assert list(ledger.accounts()) == oracle.accounts()


@settings(max_examples=20)
@given(st.one_of(records, refusals))
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    body = pack_body(record)
    assert unpack_body(body) == record
    sealed = seal([body])
    assert unseal(sealed) == body
    assert len(sealed) == 128


@settings(max_examples=20)
@given(records, st.integers(0, 127), st.integers(0, 7))
def test_a_record_with_a_flipped_bit_is_none(record: Record, position: int, bit: int) -> None:
    sealed = bytearray(seal([pack_body(record)]))
    sealed[position] ^= 1 << bit
    assert unseal(bytes(sealed)) is None


@given(st.binary(max_size=300), st.sampled_from([b"LMBFRM\1\0", b"LMBSEG\1\0", b"LMBMRK\1\0", b""]))
def test_arbitrary_bytes_are_never_a_page_or_frame(noise: bytes, magic: bytes) -> None:
    page = (magic + noise).ljust(4096, b"\0")
    assert FrameHeader.unpack(page[:128]) is None
    assert read_identity(page) is None
    assert read_mark(page) is None
    assert read_segment_header(page) is None
    assert FrameHeader.unpack(noise) is None
    assert read_mark(noise) is None
