"""What an office does with the programme: one layer over registry and ledger for every front.

The command line and whatever comes beside it call this; agencies, life cycles and maker-checker
are kept below, in registry, disbursement and sweep. Nothing here prints or asks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from ledger.port import Ledger
from programme.accounts import open_purse
from programme.actors import Actor
from programme.chart import Purse
from programme.decree.cells import place
from programme.disbursement import DisbursementResult, Post, disburse
from programme.errors import NotFoundError, RuleError
from programme.registry import CardRequest, LineOutcome, MerchantRequest, Registry
from programme.registry.cards import LIVE
from programme.registry.lists import CardEntry
from programme.registry_port import BlockReason, CardStatus, CardView, MerchantView
from programme.reports import Report, build_report
from programme.statement import CardStatement, card_statement
from programme.sweep import ReleaseResult, SweepResult, SweptTranche, plan_sweep, release, sweep
from protocols.catalogue import LANGUAGES

#: What a verification result blocks a card for; who is no longer in the list has ended (R27).
_ENDED_FOR = {
    LineOutcome.DECEASED: BlockReason.DECEASED,
    LineOutcome.MOVED: BlockReason.DECREE_ENDED,
    LineOutcome.GRADUATED: BlockReason.DECREE_ENDED,
}


@dataclass(frozen=True, slots=True)
class CardFile:
    """Everything an office may see of a card: no name, no NIK, four digits of its number."""

    entry: CardEntry
    steps: tuple[tuple[CardStatus, BlockReason | None, int, str, str], ...]
    statement: CardStatement


class Office:
    """The programme's services over an open registry and ledger; both stay the caller's."""

    def __init__(self, registry: Registry, ledger: Ledger, *, post: Post | None = None) -> None:
        """Work on what is open; `post` replaces the ledger's own call (decision 8)."""
        self.registry = registry
        self.ledger = ledger
        self._post = post

    def cards(
        self,
        *,
        status: CardStatus | None = None,
        district: str = "",
        after: int = 0,
        limit: int | None = None,
    ) -> list[CardEntry]:
        """Give cards in the order of issue, by state and district, after a number."""
        found = [
            card
            for card in self.registry.lists.cards()
            if card.card_number > after
            and status in (None, card.status)
            and district in ("", card.district)
        ]
        return found[:limit]

    def card(self, card_number: int) -> CardFile:
        """Give a card's file; raise NotFoundError."""
        view = self._view(card_number)
        (entry,) = self.registry.lists.cards([card_number])
        steps = tuple(self.registry.cards.steps(card_number))
        return CardFile(entry, steps, card_statement(self.ledger, view))

    def block(self, card_numbers: Sequence[int], reason: BlockReason, actor: Actor) -> None:
        """Block cards, all or none, in force when this returns (R22)."""
        self.registry.cards.block(list(dict.fromkeys(card_numbers)), reason, actor)

    def unblock(self, card_numbers: Sequence[int], actor: Actor) -> None:
        """Give blocked cards their former state back, all or none."""
        self.registry.cards.unblock(list(dict.fromkeys(card_numbers)), actor)

    def move(self, card_numbers: Sequence[int], status: CardStatus, actor: Actor) -> None:
        """Move cards one step of their life cycle, all or none (R21)."""
        self.registry.move_cards(list(dict.fromkeys(card_numbers)), status, actor)

    def replace(self, card_number: int, request: CardRequest, actor: Actor) -> CardView:
        """Give a new printed card on the same account; the old one is refused from now (R22).

        `request` brings number, expiry and PIN reference; its recipient must be the card's.
        """
        assert request.recipient_number == self.recipient_of(card_number)
        return self.registry.cards.replace(
            card_number,
            pan=request.pan,
            pan_sequence=request.pan_sequence,
            expires_on=request.expires_on,
            pin_offset=request.pin_offset,
            actor=actor,
        )

    def recipient_of(self, card_number: int) -> int:
        """Give the recipient's number of a card; raise NotFoundError."""
        self._view(card_number)
        (entry,) = self.registry.lists.cards([card_number])
        return entry.recipient_number

    def ended_cards(self, decree: int) -> dict[BlockReason, list[int]]:
        """Give the live, unblocked cards whose holders' aid a determined decree ended (R27).

        Those are people whom the decree names as deceased, moved or graduated, and people whom the
        decree before it (same purse and fund) paid and this one does not name.
        """
        record = self.registry.decrees.get(decree)
        if not record.state.creditable:
            raise RuleError(
                f"decree {decree} is at `{record.state.value}`: only a determined decree ends aid."
            )
        outcomes = {x.recipient_number: x.outcome for x in self.registry.decrees.lines(decree)}
        before = self.registry.decrees.before(record.purse, record.source, below=decree)
        earlier = [] if before is None else self.registry.decrees.lines(before.decree_number)
        ended = {
            number: _ENDED_FOR[outcome]
            for number, outcome in outcomes.items()
            if outcome in _ENDED_FOR
        } | {
            line.recipient_number: BlockReason.DECREE_ENDED
            for line in earlier
            if line.outcome is LineOutcome.ELIGIBLE and line.recipient_number not in outcomes
        }
        found: dict[BlockReason, list[int]] = {}
        for card in self.registry.lists.cards():
            live = card.status in LIVE and card.status is not CardStatus.BLOCKED
            if live and card.purse == record.purse and card.recipient_number in ended:
                found.setdefault(ended[card.recipient_number], []).append(card.card_number)
        return found

    def block_ended(self, decree: int, actor: Actor) -> dict[BlockReason, list[int]]:
        """Block what `ended_cards` gives, each with its reason; again, it blocks nothing."""
        found = self.ended_cards(decree)
        for reason, numbers in found.items():
            self.registry.cards.block(numbers, reason, actor)
        return found

    def merchant(self, merchant_id: str) -> MerchantView:
        """Give a shop; raise NotFoundError."""
        found = self.registry.merchant(merchant_id)
        if found is None:
            raise NotFoundError(f"shop {merchant_id} is not registered.")
        return found

    def add_merchant(self, request: MerchantRequest, actor: Actor) -> MerchantView:
        """Register a shop; raise RuleError for a place that is none, DuplicateError."""
        misplaced = place(request.village, request.district)
        if misplaced is not None:
            column, complaint = misplaced
            raise RuleError(f"{column}: " + " / ".join(map(complaint.said, LANGUAGES)) + ".")
        return self.registry.shops.add_merchants([request], actor)[0]

    def designate(self, merchant_id: str, actor: Actor) -> MerchantView:
        """Designate a shop as E-Warong and open its payable where a purse admits it (R4)."""
        self.registry.designate(self.merchant(merchant_id).merchant_id, actor)
        for purse in self.registry.accounts.purses():
            open_purse(self.ledger, self.registry, purse, actor)
        return self.merchant(merchant_id)

    def disburse(
        self,
        decree: int,
        period: str,
        maker: Actor,
        checker: Actor,
        *,
        amount_sen: int | None = None,
        expires_on: date | None = None,
        on_group: Callable[[int, int], None] | None = None,
    ) -> DisbursementResult:
        """Credit a month of a decree (`programme.disbursement.disburse`)."""
        return disburse(
            self.ledger, self.registry, decree, period, amount_sen, maker, checker,
            expires_on=expires_on, post=self._post, on_group=on_group,
        )  # fmt: skip

    def plan_sweep(self, day: date, purse: int = Purse.FOOD) -> list[SweptTranche]:
        """Give what a sweep of the day would take; posts nothing."""
        return plan_sweep(self.ledger, self.registry, purse, day)

    def sweep(
        self, day: date, maker: Actor, checker: Actor, purse: int = Purse.FOOD
    ) -> SweepResult:
        """Take back what is due on a business day (`programme.sweep.sweep`)."""
        return sweep(self.ledger, self.registry, purse, day, maker, checker, post=self._post)

    def release(self, decree: int, budget_year: int, maker: Actor, checker: Actor) -> ReleaseResult:
        """Give back by decree what a year's end held (`programme.sweep.release`)."""
        return release(
            self.ledger, self.registry, decree, budget_year, maker, checker, post=self._post
        )

    def report(self, name: str, day: date, purse: int = Purse.FOOD) -> Report:
        """Give a report (`programme.reports.build_report`)."""
        return build_report(name, self.ledger, self.registry, day, purse)

    def _view(self, card_number: int) -> CardView:
        view = self.registry.card(card_number)
        if view is None:
            raise NotFoundError(f"card {card_number} is not registered.")
        return view
