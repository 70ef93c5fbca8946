"""The journal's approved answers against the ledger: what was promised must be posted.

An answer carries the elements that its request's key is made of, so its ledger record is found by
id, with the amount that the answer named. The other way round is no fault: a posting whose answer
was never sent is what repeats and reversals are for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from ledger.port import Entry as LedgerEntry
from ledger.statuses import CreateTransferStatus
from programme.chart import TransferCode
from protocols.business_time import wita
from protocols.ids import MessageKey, transfer_id
from protocols.iso8583 import Message, MessageError, PureCodec
from switch.corrections import FindEntry
from switch.journal.records import Entry, EntryKind
from switch.reconciliation import Difference, Kind

_SALES = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_UNDOING = frozenset({TransferCode.VOID, TransferCode.REFUND})
_ANSWERS = frozenset({"0210", "0230"})
_YES = frozenset({"00", "10"})
#: Transaction types that move money: purchase, void, refund. Source: ISO 8583:1987, element 3.
_MOVING = frozenset({"00", "02", "20"})


@dataclass(frozen=True, slots=True)
class ApprovedAnswer:
    """One answer that said yes to a message that moves money. The amount is in sen."""

    transfer_id: int
    terminal_id: str
    day: date
    amount_sen: int


def approved_answers(
    entries: Iterable[Entry], codecs: Mapping[str, PureCodec]
) -> Iterator[ApprovedAnswer]:
    """Yield the approved answers of a journal whose messages were opened."""
    for entry in entries:
        if entry.kind is not EntryKind.ANSWER or not entry.payload or entry.link not in codecs:
            continue
        try:
            message = codecs[entry.link].decode(entry.payload)
        except MessageError:
            continue
        if message.mti in _ANSWERS and message.text(39) in _YES and message.text(3)[:2] in _MOVING:
            yield _approved(entry, message)


def unposted(
    answers: Iterable[ApprovedAnswer], find: FindEntry, terminals: Mapping[str, int]
) -> Iterator[Difference]:
    """Yield every approved answer whose record is missing or says another amount."""
    for answer in answers:
        posted = _posted_sen(find(answer.transfer_id), answer.amount_sen)
        if posted != answer.amount_sen:
            yield Difference(
                kind=Kind.ANSWER,
                terminal_number=terminals.get(answer.terminal_id, 0),
                batch=0,
                day=answer.day,
                reference=f"{answer.transfer_id:032x}",
                ledger_sen=posted,
                other_sen=answer.amount_sen,
            )


def _approved(entry: Entry, message: Message) -> ApprovedAnswer:
    assert message.spec is not None, "the codec decoded it"
    # Keys are of the dialect, whatever the port is called (switch.assembly).
    key = MessageKey(
        message.spec.name,
        message.text(32) if 32 in message else "",
        message.text(41),
        message.text(7),
        message.text(11),
        message.text(37),
        "02",
    )
    day = wita(entry.time_ns).date()
    return ApprovedAnswer(transfer_id(key), message.text(41), day, int(message.text(4)))


def _posted_sen(entry: LedgerEntry | None, wanted_sen: int) -> int:
    """Give what the record behind an answer posted; a void's or refund's key only marks it."""
    if entry is None:
        return 0
    if entry.transfer.code in _UNDOING:
        return wanted_sen
    is_sale = entry.transfer.code in _SALES and entry.status == CreateTransferStatus.CREATED
    return entry.transfer.amount if is_sale else 0
