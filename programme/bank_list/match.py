"""The three-way match: decree = bank's list = ledger, person by person, every difference named.

Nothing is written. A person is told by the recipient's number, one whom the registry does not know
by the bank's line alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from ledger.port import Ledger
from ledger.statuses import CreateTransferStatus
from programme.bank_list.reader import BankLine, BankList
from programme.chart import TransferCode
from programme.disbursement import no_credit_reason
from programme.errors import NotFoundError
from programme.registry.decrees import DecreeRecord, DecreeState, LineOutcome
from programme.registry.lists import CardEntry
from programme.registry.registry import Registry
from programme.reports.build import of_one_state
from programme.reports.table import Basis, Cell, Report, layouts
from programme.tranches import tranche_data
from protocols.business_time import wita_date


class Side(StrEnum):
    """How three amounts differ, by which of them are there."""

    AMOUNT = "other amount"
    NOT_AT_BANK = "not at the bank"
    NOT_IN_LEDGER = "not in the ledger"
    NOT_IN_DECREE = "not in the decree"
    ONLY_DECREE = "only in the decree"
    ONLY_BANK = "only at the bank"
    ONLY_LEDGER = "only in the ledger"


#: (decree, bank, ledger) has an amount -> what that is called.
_SIDES = {
    (True, True, True): Side.AMOUNT,
    (True, False, True): Side.NOT_AT_BANK,
    (True, True, False): Side.NOT_IN_LEDGER,
    (False, True, True): Side.NOT_IN_DECREE,
    (True, False, False): Side.ONLY_DECREE,
    (False, True, False): Side.ONLY_BANK,
    (False, False, True): Side.ONLY_LEDGER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One person on whom the three do not agree; amounts in sen, 0 where there is none.

    `recipient_number` is 0 for a NIK that the registry does not know; `line` is 0 where the bank
    has none. `why` says why the ledger has no credit, where the registry knows it.
    """

    line: int
    recipient_number: int
    district: str
    village: str
    decree_sen: int
    bank_sen: int
    ledger_sen: int
    side: Side
    why: str
    since: date
    age_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a match found: three totals in sen, how many agree, and every difference."""

    decree_number: int
    decree_name: str
    period: str
    day: date
    decree_sen: int
    bank_sen: int
    ledger_sen: int
    agreeing: int
    differences: tuple[Difference, ...]
    basis: Basis

    @property
    def agrees(self) -> bool:
        """Give whether decree, bank and ledger say the same of everybody."""
        return not self.differences


def match_month(ledger: Ledger, registry: Registry, bank: BankList, day: date) -> Match:
    """Give the match of a bank's list with its decree and the ledger's credits of its month.

    `day` is what ages count to. Raises: NotFoundError for a decree that is not registered,
    ReportError while the ledger grows all the time.
    """
    record = next((r for r in registry.decrees.all() if r.name == bank.decree_name), None)
    if record is None:
        raise NotFoundError.of("programme.decree_name_unknown", name=bank.decree_name)
    (sides, people), basis = of_one_state(
        ledger, registry, day.isoformat(), lambda: _read(ledger, registry, record, bank)
    )
    numbers = {number for side in sides for number in side}
    differences = tuple(
        people.difference(number, _amounts(sides, number), day)
        for number in sorted(numbers)
        if len(set(_amounts(sides, number))) > 1
    )
    return Match(
        decree_number=record.decree_number,
        decree_name=record.name,
        period=bank.period,
        day=day,
        decree_sen=sum(sides[0].values()),
        bank_sen=sum(sides[1].values()),
        ledger_sen=sum(sides[2].values()),
        agreeing=len(numbers) - len(differences),
        differences=differences,
        basis=basis,
    )


#: Amounts by recipient number; a NIK that is not registered has the negative of its bank line.
_Sides = tuple[Mapping[int, int], Mapping[int, int], Mapping[int, int]]


def _amounts(sides: _Sides, number: int) -> tuple[int, int, int]:
    decree, bank, ledger = (side.get(number, 0) for side in sides)
    return decree, bank, ledger


@dataclass(frozen=True, slots=True)
class _People:
    """What is known of everybody who stands in one of the three."""

    registry: Registry
    determined_on: date
    cards: Mapping[int, CardEntry]
    lines: Mapping[int, BankLine]
    credited_on: Mapping[int, date]

    def difference(self, number: int, amounts: tuple[int, int, int], day: date) -> Difference:
        line, card = self.lines.get(number), self.cards.get(number)
        decree_sen, bank_sen, ledger_sen = amounts
        dates = [self.determined_on] if decree_sen else []
        dates += [line.credited_on] if line is not None else []
        dates += [self.credited_on[number]] if number in self.credited_on else []
        since = min(dates)
        return Difference(
            line=line.line if line is not None else 0,
            recipient_number=max(number, 0),
            district=card.district if card is not None else "",
            village=card.village if card is not None else "",
            decree_sen=decree_sen,
            bank_sen=bank_sen,
            ledger_sen=ledger_sen,
            side=_SIDES[bool(decree_sen), bool(bank_sen), bool(ledger_sen)],
            why="" if ledger_sen or number < 0 else self._why_no_credit(card),
            since=since,
            age_days=(day - since).days,
        )

    def _why_no_credit(self, card: CardEntry | None) -> str:
        view = self.registry.card(card.card_number) if card is not None else None
        reason = no_credit_reason(view)
        return " ".join(filter(None, reason)) if reason is not None else ""


def _read(
    ledger: Ledger, registry: Registry, record: DecreeRecord, bank: BankList
) -> tuple[_Sides, _People]:
    lines = registry.decrees.lines(record.decree_number)
    decree = {
        line.recipient_number: line.amount_sen
        for line in lines
        if line.outcome is LineOutcome.ELIGIBLE
    }
    known = registry.people.numbers_of([line.nik for line in bank.lines])
    by_number = {known.get(line.nik, -line.line): line for line in bank.lines}
    # The newest card of a person says where they live; its account may be an older card's.
    cards = [c for c in registry.lists.cards() if c.purse == record.purse]
    holder = {card.account_id: card.recipient_number for card in cards}
    credited: dict[int, int] = {}
    credited_on: dict[int, date] = {}
    for account, amount_sen, on in _credits(ledger, record, bank.period):
        number = holder[account]
        credited[number] = credited.get(number, 0) + amount_sen
        credited_on.setdefault(number, on)
    people = _People(
        registry,
        _determined_on(registry, record),
        {card.recipient_number: card for card in cards},
        by_number,
        credited_on,
    )
    amounts = {number: line.amount_sen for number, line in by_number.items()}
    return (decree, amounts, credited), people


def _credits(ledger: Ledger, record: DecreeRecord, period: str) -> Iterator[tuple[int, int, date]]:
    """Yield (account, sen, day in Samarinda) of each credit of a decree's month."""
    for entry in ledger.entries():
        transfer = entry.transfer
        if (
            entry.status == CreateTransferStatus.CREATED
            and transfer.code == TransferCode.DISBURSEMENT
            and transfer.user_data_128 == record.file_id
            and tranche_data(transfer.user_data_64).period == period
        ):
            yield transfer.credit_account_id, transfer.amount, wita_date(transfer.timestamp)


def _determined_on(registry: Registry, record: DecreeRecord) -> date:
    """Give the day on which the Mayor determined the decree, or the decree's own before that."""
    for state, at_ns, _agency, _person in registry.decrees.steps(record.decree_number):
        if state is DecreeState.DETERMINATION:
            return wita_date(at_ns)
    return record.decreed_on


def as_report(match: Match) -> Report:
    """Give the differences as a report, for CSV and print."""
    layout = layouts("programme.bank_list")["match"]
    rows: list[tuple[Cell, ...]] = [
        (
            str(one.line or ""), str(one.recipient_number or ""), one.district, one.village,
            one.decree_sen, one.bank_sen, one.ledger_sen, layout.words[one.side.value], one.why,
            one.since.isoformat(), one.age_days,
        )
        for one in match.differences
    ]  # fmt: skip
    return Report(layout=layout, basis=match.basis, rows=tuple(rows))
