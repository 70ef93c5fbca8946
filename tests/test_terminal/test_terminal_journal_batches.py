"""Batches, stored messages and older versions in the journal; the fold beside a plain recount."""

import json
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest

from terminal.errors import JournalVersionError
from terminal.journal.batches import BatchStatus
from terminal.journal.codec import decode_line, encode_line
from terminal.journal.records import (
    Answer,
    Completed,
    Header,
    Intent,
    Kind,
    LoggedOn,
    Record,
    Sent,
    Totals,
)
from terminal.journal.state import AFTER_UPLOAD, JournalState
from terminal.journal.store import Journal
from terminal.journal.transactions import OrderError, Status
from terminal.limits import REMEMBERED_TRANSACTIONS_MAX
from terminal.sealing import Sealer
from tests.terminal_kit import PAN, T0, CounterBytes
from tests.test_terminal.test_terminal_journal import KEY, intent

#: Fields that version 2 added, by record; a journal of version 1 has none of them.
ADDED = {
    "header": {"training"},
    "logged on": {"operator"},
    "intent": {"merchant_id", "proxy", "voucher", "sequence", "totals", "chip"},
    "answer": {"statement", "totals", "planned_sen", "paid_on"},
    "completed": set(),
}


def sealer() -> Sealer:
    return Sealer(KEY, CounterBytes())


def sale(stan: int, batch: int = 1, sen: int = 100) -> list[Record]:
    return [
        intent(stan, batch=batch, amount_sen=sen),
        Answer(stan=stan, response_code="00", received_ns=T0, amount_sen=sen),
        Completed(stan=stan, completed_ns=T0),
    ]


def settlement(stan: int, batch: int, *, last: bool = False) -> Intent:
    return replace(
        intent(stan, batch=batch),
        kind=Kind.SETTLEMENT,
        processing_code=AFTER_UPLOAD if last else "920000",
        totals=(Totals(sales=1, sales_sen=100),),
        pan=None,
        items=(),
    )


def answer(stan: int, code: str) -> Answer:
    return Answer(stan=stan, response_code=code, received_ns=T0)


def folded(*records: Record) -> JournalState:
    state = JournalState()
    for record in records:
        state.apply(record)
    return state


def test_journal_of_version_1_opens_and_means_what_it_meant(tmp_path: Path) -> None:
    records: list[Record] = [
        Header(version=1, terminal_id="12400017", created_ns=T0),
        LoggedOn(
            merchant_id="EWSMR0000000017", log_on="000001", shop_name="A", shop_place="B",
            logged_on_ns=T0,
        ),
        *sale(1),
    ]  # fmt: skip
    crc, content = 0, b""
    for record in records:
        text = encode_line(record, 0, sealer())[0][9:-1]
        body = json.loads(text)
        body = {name: v for name, v in body.items() if name not in ADDED[body["record"]]}
        text = json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
        crc = crc32(text, crc)
        content += b"%08x %s\n" % (crc, text)
    (tmp_path / "journal").write_bytes(content)
    journal = Journal.open(tmp_path / "journal", "12400017", sealer(), now_ns=T0)
    state = journal.state
    assert (state.transactions[1].status, state.count(1)) == (Status.COMPLETED, 1)
    assert state.transactions[1].intent.pan == PAN
    assert not state.training
    journal.close()
    with pytest.raises(JournalVersionError, match="training"):
        Journal.open(tmp_path / "journal", "12400017", sealer(), now_ns=T0, training=True)


def test_chip_data_of_a_voucher_is_sealed_and_comes_back() -> None:
    kept = replace(
        intent(7), kind=Kind.VOUCHER, voucher="V1N000007", chip=b"\x9f\x26\x08" + b"A" * 8
    )
    line, crc = encode_line(kept, 0, sealer())
    assert b"AAAA" not in line
    assert b"QUFBQ" not in line
    again, same = decode_line(line[:-1], 0, sealer())
    assert (again, same) == (kept, crc)
    assert "AAAA" not in repr(kept)


def test_settlement_fixes_its_batch_and_sales_go_to_the_next() -> None:
    state = folded(*sale(1), settlement(2, 1))
    assert (state.batch, state.batches[1].status) == (2, BatchStatus.CLOSING)
    assert [t.intent.stan for t in state.queued()] == [2]
    state.apply(Sent(stan=2, transmission=1, batch=1, sent_ns=T0))
    state.apply(answer(2, "00"))
    assert state.batches[1].status is BatchStatus.CLOSED
    assert (state.totals(1), state.count(2)) == (Totals(sales=1, sales_sen=100), 0)


def test_mismatch_waits_for_every_upload_and_ends_with_the_last_settlement() -> None:
    state = folded(*sale(1), settlement(2, 1), answer(2, "95"))
    assert state.batches[1].status is BatchStatus.MISMATCHED
    upload = replace(intent(3, batch=1), kind=Kind.UPLOAD, original_stan=1, sequence=1)
    state.apply(upload)
    state.apply(answer(3, "00"))
    assert state.batches[1].uploaded == {1}
    state.apply(settlement(4, 1, last=True))
    state.apply(answer(4, "95"))
    assert state.batches[1].status is BatchStatus.DISPUTED
    assert (state.batch, state.pending_batch()) == (2, None)


@pytest.mark.parametrize(
    "records",
    [
        [settlement(2, 1, last=True)],
        [settlement(2, 1), settlement(3, 1, last=True)],
        [Sent(stan=1, transmission=1, batch=1, sent_ns=T0)],
        [settlement(2, 1), Sent(stan=2, transmission=2, batch=1, sent_ns=T0)],
        [settlement(2, 1), answer(2, "00"), answer(2, "00")],
        [replace(intent(3, batch=1), kind=Kind.UPLOAD, original_stan=1), answer(3, "00")],
    ],
    ids=["last first", "no mismatch", "not stored", "one left out", "twice", "no upload asked for"],
)
def test_records_out_of_order_are_damage(records: list[Record]) -> None:
    state = folded(*sale(1))
    for record in records[:-1]:
        state.apply(record)
    with pytest.raises(OrderError):
        state.apply(records[-1])


def test_unsettled_transactions_are_kept_when_older_ones_are_forgotten() -> None:
    state = folded(*sale(1))
    for stan in range(2, REMEMBERED_TRANSACTIONS_MAX + 100):
        state.apply(replace(intent(stan, batch=1), kind=Kind.BALANCE, amount_sen=0))
        state.apply(answer(stan, "00"))
    assert 1 in state.transactions
    assert len(state.transactions) == REMEMBERED_TRANSACTIONS_MAX
    assert (state.count(1), state.unsettled) == (1, 1)
    state.last_stan = 0
    assert state.next_stan() == 2
