"""What an office does with the programme: one layer over registry and ledger for every front.

The command line and the administration interface call this. Every call names its actor; who may
do what stands in `roles.toml`, life cycles and maker-checker are kept below, in registry,
`two_people`, disbursement and sweep. A refusal is one of `programme.errors`; nothing was changed
then. Nothing here prints or asks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ledger.port import Ledger
from programme.accounts import open_purse
from programme.actors import Actor
from programme.bank_list import Match, match_month, read_bank_list
from programme.chart import Purse
from programme.decree import ImportResult, import_decree, read_decree
from programme.decree.cells import place
from programme.errors import NotFoundError, RuleError
from programme.keystore import Keystore
from programme.registry import (
    CardRequest,
    DecreeRecord,
    LineOutcome,
    MerchantRequest,
    PersonRecord,
    Registry,
)
from programme.registry.audit import AuditCheck, AuditRecord
from programme.registry.cards import LIVE
from programme.registry.lists import CardEntry
from programme.registry.proposals import Proposal, ProposalState
from programme.registry.tokens import TokenRecord
from programme.registry_port import (
    BlockReason,
    CardStatus,
    CardView,
    MerchantView,
    ProxyView,
    TerminalView,
)
from programme.reports import Report, build_report
from programme.roles import require
from programme.statement import CardStatement, card_statement
from programme.sweep import (
    HeldAmount,
    SweptTranche,
    Turn,
    at_once,
    held_amounts,
    plan_sweep,
)
from programme.two_people import TwoPeople

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

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        keystore: Keystore | None = None,
        *,
        turn: Turn = at_once,
    ) -> None:
        """Work on what is open; `turn` runs a piece of work where no purchase comes between.

        `keystore` is needed only by who carries out a proposal for a key.
        """
        self.registry = registry
        self.ledger = ledger
        self.two_people = TwoPeople(registry, ledger, keystore, turn=turn)

    def cards(
        self,
        actor: Actor,
        *,
        status: CardStatus | None = None,
        district: str = "",
        after: int = 0,
        limit: int | None = None,
    ) -> list[CardEntry]:
        """Give cards in the order of issue, by state and district, after a number."""
        require(actor, "card.read")
        found = [
            card
            for card in self.registry.lists.cards()
            if card.card_number > after
            and status in (None, card.status)
            and district in ("", card.district)
        ]
        return found[:limit]

    def card(self, card_number: int, actor: Actor) -> CardFile:
        """Give a card's file; raise NotFoundError, RoleError."""
        require(actor, "card.read")
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
            raise RuleError.of("programme.aid_not_ended", decree=decree, state=record.state.value)
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

    def merchants(self, actor: Actor, *, district: str = "") -> list[MerchantView]:
        """Give the shops in the order of registration, of one district or all."""
        require(actor, "merchant.read")
        return [s for s in self.registry.all_merchants() if district in ("", s.district)]

    def merchant(self, merchant_id: str, actor: Actor) -> MerchantView:
        """Give a shop; raise NotFoundError, RoleError."""
        require(actor, "merchant.read")
        found = self.registry.merchant(merchant_id)
        if found is None:
            raise NotFoundError.of("programme.merchant_unknown", merchant=merchant_id)
        return found

    def add_merchant(self, request: MerchantRequest, actor: Actor) -> MerchantView:
        """Register a shop; raise RuleError for a place that is none, DuplicateError."""
        misplaced = place(request.village, request.district)
        if misplaced is not None:
            column, complaint = misplaced
            raise RuleError.of("programme.place_wrong", column=column, complaint=complaint)
        return self.registry.shops.add_merchants([request], actor)[0]

    def designate(self, merchant_id: str, actor: Actor) -> MerchantView:
        """Designate a shop as E-Warong and open its payable where a purse admits it (R4)."""
        shop = self.registry.designate(merchant_id, actor)
        for purse in self.registry.accounts.purses():
            open_purse(self.ledger, self.registry, purse, actor)
        return self.merchant(shop.merchant_id, actor)

    def proxies(self, card_number: int, actor: Actor) -> list[ProxyView]:
        """Give a card's proxies; raise NotFoundError, RoleError."""
        require(actor, "card.read")
        self._view(card_number)
        return self.registry.proxies.of_card(card_number)

    def decree(self, number: int, actor: Actor) -> DecreeRecord:
        """Give a decree; raise NotFoundError, RoleError."""
        require(actor, "decree.read")
        return self.registry.decrees.get(number)

    def take_in(self, file: Path, actor: Actor) -> ImportResult:
        """Take a decree file in, whole or not at all (`programme.decree.import_decree`)."""
        require(actor, "decree.integrasi")
        found = read_decree(file, distinct=self.registry.people.is_distinct)
        return import_decree(self.registry, found, actor)

    def tokens(self, actor: Actor) -> list[TokenRecord]:
        """Give the tokens that were issued, without what they are."""
        require(actor, "token.issue")
        return self.registry.tokens.all()

    def decrees(self, actor: Actor) -> list[DecreeRecord]:
        """Give the decrees in the order of import."""
        require(actor, "decree.read")
        return self.registry.decrees.all()

    def plan_sweep(self, day: date, actor: Actor, purse: int = Purse.FOOD) -> list[SweptTranche]:
        """Give what a sweep of the day would take; posts nothing."""
        require(actor, "report.read")
        return plan_sweep(self.ledger, self.registry, purse, day)

    def held(self, actor: Actor, purse: int = Purse.FOOD) -> list[HeldAmount]:
        """Give what year ends hold and no decree has released."""
        require(actor, "report.read")
        return held_amounts(self.ledger, purse)

    def terminals(self, actor: Actor) -> list[TerminalView]:
        """Give the terminals in the order of registration."""
        require(actor, "terminal.read")
        return self.registry.all_terminals()

    def identity(self, recipient_number: int, actor: Actor) -> PersonRecord:
        """Give a person's data in clear, for the card bureau; raise NotFoundError, RoleError."""
        require(actor, "person.open")
        return self.registry.people.open_identity(recipient_number)

    def proposals(self, actor: Actor, state: ProposalState | None = None) -> list[Proposal]:
        """Give the proposals in a state, or all."""
        require(actor, "proposal.read")
        return self.registry.proposals.all(state)

    def proposal(self, number: int, actor: Actor) -> Proposal:
        """Give a proposal; raise NotFoundError, RoleError."""
        require(actor, "proposal.read")
        return self.registry.proposals.get(number)

    def run_proposal(
        self, number: int, actor: Actor, *, on_group: Callable[[int, int], None] | None = None
    ) -> Proposal:
        """Carry out what two people approved (`TwoPeople.carry_out`); again, it finishes it.

        Raises: RoleError, NotFoundError, ProposalError, and what the work itself raises.
        """
        require(actor, "proposal.run")
        return self.two_people.carry_out(number, on_group=on_group)[0]

    def check_run(self, number: int, actor: Actor) -> None:
        """Raise what `run_proposal` would raise at once: for who only queues it."""
        require(actor, "proposal.run")
        self.two_people.approved(number)

    def check_issue(self, decree: int, actor: Actor) -> None:
        """Raise unless this agency prints cards for this decree: for who only queues it."""
        require(actor, "card.printed")
        self.registry.decrees.get(decree)

    def check_replace(self, card_number: int, actor: Actor) -> None:
        """Raise unless this agency may replace this card: for who only queues it."""
        require(actor, "card.replaced")
        self.registry.cards.check_replaceable(card_number)

    def check_block_ended(self, decree: int, actor: Actor) -> None:
        """Raise unless this agency may block for this decree: for who only queues it."""
        require(actor, "card.blocked")
        self.ended_cards(decree)

    def audit(self, actor: Actor, count: int) -> list[AuditRecord]:
        """Give the newest changes, oldest first."""
        require(actor, "audit.read")
        return self.registry.trail.tail(count)

    def verify_audit(self, actor: Actor, expected: tuple[int, bytes] | None = None) -> AuditCheck:
        """Compute the audit trail's chain again (`AuditBook.verify`)."""
        require(actor, "audit.read")
        return self.registry.trail.verify(expected)

    def report(self, name: str, day: date, actor: Actor, purse: int = Purse.FOOD) -> Report:
        """Give a report (`programme.reports.build_report`)."""
        require(actor, "report.read")
        return build_report(name, self.ledger, self.registry, day, purse)

    def match(self, file: Path, day: date, actor: Actor) -> Match:
        """Give the three-way match of a bank's list (`programme.bank_list.match_month`)."""
        require(actor, "report.read")
        return match_month(self.ledger, self.registry, read_bank_list(file), day)

    def _view(self, card_number: int) -> CardView:
        view = self.registry.card(card_number)
        if view is None:
            raise NotFoundError.of("programme.card_unknown", card=card_number)
        return view
