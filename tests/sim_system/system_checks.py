"""What must hold when the day is over: decision 4, one posting for each slip, nothing lost."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from programme.equations import Slip, check_equations
from switch.reconciliation import NOTICES, reconcile
from terminal.journal.records import Kind
from terminal.journal.transactions import Status
from tests.sim_system.system_paper import check_paper

if TYPE_CHECKING:
    from tests.sim_system.system_simulation import Simulation

#: The built-in rule `pin.tries`.
PIN_TRIES_MAX = 3
_ENDS = frozenset({Status.COMPLETED, Status.REFUSED, Status.REVERSED})


def check_end(simulation: "Simulation") -> None:
    """Raise AssertionError for the first thing that does not hold."""
    _equations(simulation)
    _terminals(simulation)
    _ledger(simulation)
    check_paper(simulation)
    _batches(simulation)
    _pin_tries(simulation)
    _node(simulation)


def _equations(simulation: "Simulation") -> None:
    ledger = simulation.node.ledger
    assert ledger is not None, "the node is up at the end"
    for equation in check_equations(ledger, simulation.registry, list(_slips(simulation))):
        assert equation.holds, equation
    assert ledger.verify().sum_minor == 0


def _slips(simulation: "Simulation") -> Iterator[Slip]:
    """Give the sales that stand by the terminals' own journals, less what the offices gave back."""
    refunded = simulation.office.treasury.refunded
    for counter in simulation.counters:
        assert counter.terminal is not None, "the terminal is up"
        for sale in counter.terminal.journal.transactions.values():
            if sale.intent.kind not in (Kind.PURCHASE, Kind.VOUCHER) or not sale.stands:
                continue
            number = counter.id_of(sale)
            yield Slip(number, sale.amount_sen - sale.refunded_sen - refunded[number])


def _terminals(simulation: "Simulation") -> None:
    """Nothing is owed and nothing waits."""
    for counter in simulation.counters:
        terminal = counter.terminal
        assert terminal is not None, "every terminal is up at the end"
        journal = terminal.journal
        assert not journal.owed()
        assert not journal.queued()
        for transaction in journal.transactions.values():
            answer = transaction.answer
            if answer is not None and transaction.intent.kind is not Kind.NETWORK:
                said = simulation.witness.answers.get(counter.id_of(transaction), set())
                heard = (answer.response_code, answer.approval_code)
                assert heard in said, f"an answer that nobody gave: {heard}"
            if transaction.intent.kind.moves_money:
                assert transaction.status in _ENDS, transaction


def _ledger(simulation: "Simulation") -> None:
    """Nothing that was acknowledged is lost, nothing that was seen is another."""
    ledger = simulation.node.ledger
    assert ledger is not None
    simulation.follower.follow(ledger)
    simulation.follower.check_again(ledger)
    known = {transfer for transfer, _ in simulation.follower.facts.values()}
    assert simulation.witness.sales <= simulation.follower.sold.keys(), "a sale is lost"
    assert simulation.witness.corrections <= known, "an acknowledged correction is lost"


def _batches(simulation: "Simulation") -> None:
    """The switch's batches are the ledger's and the terminals'."""
    node = simulation.node
    assert node.state is not None
    assert node.ledger is not None
    batches, uploads = node.state.file.batches()
    today = node.node.core.desk.memory.business_date
    result = reconcile(node.ledger.entries(), batches, uploads, today)
    given_back = set(_given_back_before_reversal(simulation))
    wrong = [
        one
        for one in result.differences
        if one.kind not in NOTICES and (one.terminal_number, one.batch) not in given_back
    ]
    assert not wrong, wrong
    simulation.seen["office: whole sale given back before its reversal"] += len(given_back)


def _given_back_before_reversal(simulation: "Simulation") -> Iterator[tuple[int, int]]:
    """Give batches with a sale that an office gave back whole before its terminal reversed it.

    The reversal then finds nothing to undo and leaves no record: reconciliation tells the sale as
    a difference, and people know why.
    """
    refunded, follower = simulation.office.treasury.refunded, simulation.follower
    for counter in simulation.counters:
        assert counter.terminal is not None, "the terminal is up"
        view = simulation.registry.terminal(counter.terminal_id)
        assert view is not None
        for sale in counter.terminal.journal.transactions.values():
            number = counter.id_of(sale)
            if refunded[number] == follower.sold.get(number, 0) > 0 and not sale.stands:
                yield view.terminal_number, sale.intent.batch


def _pin_tries(simulation: "Simulation") -> None:
    """PIN tries are those that were told and typed: none lost, none twice, none of nobody's."""
    node = simulation.node
    assert node.state is not None
    kept = node.state.file.load().pin_tries
    for who in simulation.holders:
        card = simulation.registry.card_by_pan(who.pan)
        assert card is not None
        charged = kept.get(card.card_number, ())
        assert len(charged) == len(set(charged)), "a message cost two tries"
        told = simulation.pins.told.get(card.card_number, set())
        assert told <= set(charged), "a try that was told is lost"
        if card.card_number in simulation.pins.spent:
            assert len(charged) >= PIN_TRIES_MAX, "a card that had no tries left has some"
        # A message with the PIN of before may still have been on its way at a change.
        assert who.has_new_pin or set(charged) <= who.mistyped, "a try that nobody typed"


def _node(simulation: "Simulation") -> None:
    """Nobody waits for an answer, and no key is held for one."""
    core = simulation.node.node.core
    assert not core.under_way, "a request was never answered"
    assert not core.desk.in_flight, "a key is held for nobody"
