"""What needs two people, from the proposal to its result: money, refunds, keys (decision 20).

A maker proposes, another person approves, somebody carries it out: three calls, in one process or
in three, today or next week. Carrying out again after a kill finishes what was begun and credits
nobody twice.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from ledger.port import Ledger
from programme.actors import Actor
from programme.chart import Purse
from programme.disbursement import DisbursementResult, check_month, check_signers, disburse
from programme.errors import DisbursementError, ProposalError
from programme.keystore import Keystore
from programme.refunds import RefundResult, refund, refundable_sen
from programme.registry import Registry
from programme.registry.proposals import Proposal, ProposalKind, ProposalState
from programme.roles import require
from programme.sweep import (
    ReleaseResult,
    SweepResult,
    Turn,
    at_once,
    check_release,
    release,
    sweep,
)
from programme.terminal_keys import KeyResult, check_key, give_key, key_in_use
from protocols.values import SEN_PER_RUPIAH

Result = DisbursementResult | SweepResult | ReleaseResult | RefundResult | KeyResult


class TwoPeople:
    """Proposals over an open registry, ledger and keystore; all stay the caller's."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        keystore: Keystore | None = None,
        *,
        turn: Turn = at_once,
    ) -> None:
        """Work on what is open; `turn` runs a piece of work where no purchase comes between."""
        self._registry = registry
        self._ledger = ledger
        self._keystore = keystore
        self._turn = turn
        self._carry: dict[ProposalKind, Callable[..., tuple[Result, dict[str, Any]]]] = {
            ProposalKind.DISBURSEMENT: self._disburse,
            ProposalKind.SWEEP: self._sweep,
            ProposalKind.RELEASE: self._release,
            ProposalKind.REFUND: self._refund,
            ProposalKind.KEY: self._give_key,
        }

    def propose_disbursement(
        self,
        decree: int,
        period: str,
        maker: Actor,
        *,
        amount_sen: int | None = None,
        expires_on: date | None = None,
    ) -> Proposal:
        """Propose to pay a month of a decree; its total and head-count become part of the terms.

        Raises, with nothing kept: RoleError, DisbursementError, NotFoundError, ProposalError.
        """
        terms = self._disbursement_terms(decree, period, amount_sen, expires_on)
        return self._propose(ProposalKind.DISBURSEMENT, terms, maker)

    def propose_sweep(self, day: date, maker: Actor, purse: int = Purse.FOOD) -> Proposal:
        """Propose to take back what is due on a business day that has come."""
        self._check_day(day)
        terms = {"date": day.isoformat(), "purse": int(purse)}
        return self._propose(ProposalKind.SWEEP, terms, maker)

    def propose_release(self, decree: int, budget_year: int, maker: Actor) -> Proposal:
        """Propose to give back by decree what a year's end held; raises as `release` does."""
        check_release(self._registry, decree, budget_year)
        terms = {"decree": decree, "year": budget_year}
        return self._propose(ProposalKind.RELEASE, terms, maker)

    def propose_refund(self, sale_id: int, amount_sen: int, reason: str, maker: Actor) -> Proposal:
        """Propose to give a part of a purchase back to its card.

        Raises, with nothing kept: NotFoundError; ProposalError when less is left of it.
        """
        left = refundable_sen(self._ledger, sale_id)
        if not 0 < amount_sen <= left:
            raise ProposalError.of("programme.refund_too_much", limit=left // SEN_PER_RUPIAH)
        terms = {"sale": f"{sale_id:032x}", "amount_sen": amount_sen, "reason": reason}
        return self._propose(ProposalKind.REFUND, terms, maker)

    def propose_key(self, terminal_id: str, merchant_id: str, maker: Actor) -> Proposal:
        """Propose a master key for a terminal: its first one, at a home shop, or a new one.

        Raises, with nothing kept: RoleError, NotFoundError, RuleError; ProposalError while another
        for this terminal is open.
        """
        require(maker, f"{ProposalKind.KEY.value}.propose")
        open_one = self._open_key(terminal_id)
        if open_one is not None:
            raise ProposalError.of("programme.proposal_known", proposal=open_one.number)
        terms = self._key_terms(terminal_id, merchant_id)
        return self._propose(ProposalKind.KEY, terms, maker)

    def approve(self, number: int, checker: Actor) -> Proposal:
        """Approve as the second person (`ProposalBook.approve`)."""
        return self._registry.proposals.approve(number, checker)

    def reject(self, number: int, checker: Actor, reason: str) -> Proposal:
        """Refuse as the second person."""
        return self._registry.proposals.reject(number, checker, reason)

    def withdraw(self, number: int, maker: Actor) -> Proposal:
        """Take one's own proposal back."""
        return self._registry.proposals.withdraw(number, maker)

    def approved(self, number: int) -> Proposal:
        """Give a proposal that may be carried out; raise NotFoundError, ProposalError."""
        found = self._registry.proposals.get(number)
        if found.state is not ProposalState.APPROVED:
            raise ProposalError.of(
                "programme.proposal_state",
                proposal=number,
                state=found.state.value,
                wanted=ProposalState.APPROVED.value,
            )
        return found

    def carry_out(
        self, number: int, *, on_group: Callable[[int, int], None] | None = None
    ) -> tuple[Proposal, Result]:
        """Do what was approved, sign it off, and give its result; stopped, call it again.

        Maker and checker are those of the proposal, whoever calls. Raises: NotFoundError,
        ProposalError unless approved, and what the work itself raises.
        """
        found = self.approved(number)
        assert found.checker is not None, "an approved proposal has a checker"
        result, outcome = self._carry[found.kind](found, found.checker, on_group)
        return self._registry.proposals.finish(number, outcome, found.maker), result

    def at_once(
        self,
        kind: ProposalKind,
        terms: Mapping[str, Any],
        maker: Actor,
        checker: Actor,
        *,
        on_group: Callable[[int, int], None] | None = None,
    ) -> tuple[Proposal, Result]:
        """Propose, approve and carry out where both people are at one desk.

        An open proposal of the same terms is taken up where it was left: so a killed run goes on.
        Nothing is kept when the two may not sign for it. Raises: RoleError, ProposalError.
        """
        check_signers(maker, checker, kind.value)
        number = self._open_like(kind, terms)
        if number is None:
            number = self._propose(kind, terms, maker).number
        if self._registry.proposals.get(number).state is ProposalState.PROPOSED:
            self.approve(number, checker)
        return self.carry_out(number, on_group=on_group)

    def disburse_at_once(
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
        """Pay a month of a decree with both people at one desk."""
        check_signers(maker, checker, ProposalKind.DISBURSEMENT.value)
        terms = self._disbursement_terms(decree, period, amount_sen, expires_on)
        kind = ProposalKind.DISBURSEMENT
        _proposal, result = self.at_once(kind, terms, maker, checker, on_group=on_group)
        assert isinstance(result, DisbursementResult)
        return result

    def sweep_at_once(
        self, day: date, maker: Actor, checker: Actor, purse: int = Purse.FOOD
    ) -> SweepResult:
        """Take back what is due with both people at one desk."""
        self._check_day(day)
        terms = {"date": day.isoformat(), "purse": int(purse)}
        _proposal, result = self.at_once(ProposalKind.SWEEP, terms, maker, checker)
        assert isinstance(result, SweepResult)
        return result

    def release_at_once(
        self, decree: int, budget_year: int, maker: Actor, checker: Actor
    ) -> ReleaseResult:
        """Release what a year's end held with both people at one desk."""
        check_release(self._registry, decree, budget_year)
        terms = {"decree": decree, "year": budget_year}
        _proposal, result = self.at_once(ProposalKind.RELEASE, terms, maker, checker)
        assert isinstance(result, ReleaseResult)
        return result

    def key_at_once(
        self, terminal_id: str, merchant_id: str, maker: Actor, checker: Actor
    ) -> KeyResult:
        """Give a terminal a master key with both people at one desk."""
        open_one = self._open_key(terminal_id)
        terms = (
            self._key_terms(terminal_id, merchant_id) if open_one is None else dict(open_one.terms)
        )
        _proposal, result = self.at_once(ProposalKind.KEY, terms, maker, checker)
        assert isinstance(result, KeyResult)
        return result

    def _key_terms(self, terminal_id: str, merchant_id: str) -> dict[str, str]:
        """Give the terms of a key: they name the one that goes, so that one run gives one key."""
        check_key(self._registry, terminal_id, merchant_id)
        replaces = key_in_use(self._registry, terminal_id)
        return {"terminal": terminal_id, "merchant": merchant_id, "replaces": replaces}

    def _open_key(self, terminal_id: str) -> Proposal | None:
        """Give the proposal for a terminal's key that is not done; there is one at most."""
        states = (ProposalState.APPROVED, ProposalState.PROPOSED)
        open_keys = (
            proposal
            for state in states
            for proposal in self._registry.proposals.all(state)
            if proposal.kind is ProposalKind.KEY
        )
        return next((one for one in open_keys if one.terms.get("terminal") == terminal_id), None)

    def _check_day(self, day: date) -> None:
        if day > self._registry.today:
            raise DisbursementError.of("programme.sweep_early", day=day.isoformat())

    def _propose(self, kind: ProposalKind, terms: Mapping[str, Any], maker: Actor) -> Proposal:
        return self._registry.proposals.propose(kind, terms, maker)

    def _open_like(self, kind: ProposalKind, terms: Mapping[str, Any]) -> int | None:
        for state in (ProposalState.APPROVED, ProposalState.PROPOSED):
            for proposal in self._registry.proposals.all(state):
                if (proposal.kind, proposal.terms) == (kind, dict(terms)):
                    return proposal.number
        return None

    def _disbursement_terms(
        self, decree: int, period: str, amount_sen: int | None, expires_on: date | None
    ) -> dict[str, Any]:
        lines = check_month(self._registry, decree, period, amount_sen)
        return {
            "decree": decree, "period": period, "people": len(lines),
            "total_sen": sum(line.amount_sen for line in lines),
            "expires_on": expires_on.isoformat() if expires_on else "",
        }  # fmt: skip

    def _disburse(
        self, found: Proposal, checker: Actor, on_group: Callable[[int, int], None] | None
    ) -> tuple[Result, dict[str, Any]]:
        terms = found.terms
        expires = date.fromisoformat(terms["expires_on"]) if terms["expires_on"] else None
        result = disburse(
            self._ledger, self._registry, terms["decree"], terms["period"], None, found.maker,
            checker, expires_on=expires, on_group=on_group,
        )  # fmt: skip
        assert result.total_sen == terms["total_sen"], "a determined decree does not change"
        credited = result.credited_sen + result.credited_before_sen
        return result, {"credited_sen": credited, "held_sen": result.held_sen}

    def _sweep(self, found: Proposal, checker: Actor, _on: object) -> tuple[Result, dict[str, Any]]:
        day = date.fromisoformat(found.terms["date"])
        purse = found.terms["purse"]
        result = sweep(
            self._ledger, self._registry, purse, day, found.maker, checker, turn=self._turn
        )
        return result, {"swept_sen": result.swept_sen, "tranches": len(result.swept)}

    def _release(
        self, found: Proposal, checker: Actor, _on: object
    ) -> tuple[Result, dict[str, Any]]:
        decree, year = found.terms["decree"], found.terms["year"]
        result = release(self._ledger, self._registry, decree, year, found.maker, checker)
        return result, {"released_sen": result.released_sen, "tranches": result.released_count}

    def _refund(
        self, found: Proposal, _checker: Actor, _on: object
    ) -> tuple[Result, dict[str, Any]]:
        sale, amount = int(found.terms["sale"], 16), found.terms["amount_sen"]
        day = self._registry.today
        result = refund(self._ledger, sale, amount, day, found.number)
        return result, {"refund": f"{result.refund_id:032x}", "amount_sen": result.amount_sen}

    def _give_key(
        self, found: Proposal, _checker: Actor, _on: object
    ) -> tuple[Result, dict[str, Any]]:
        assert self._keystore is not None, "whoever carries out a key has the keystore open"
        terms = found.terms
        result = give_key(
            self._registry, self._keystore, terms["terminal"], terms["merchant"], found.maker,
            replaces=terms.get("replaces", key_in_use(self._registry, terms["terminal"])),
        )  # fmt: skip
        return result, {"label": result.label, "check_value": result.check_value}
