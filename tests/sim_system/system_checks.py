"""What must hold when the day is over: decision 4, one posting for each slip, nothing lost."""

from collections import Counter
from typing import TYPE_CHECKING

from ledger.statuses import CreateTransferStatus
from programme.chart import SaleData, TransferCode
from programme.equations import check_equations
from switch.reconciliation import NOTICES, reconcile
from terminal.journal.records import Kind
from terminal.journal.transactions import Status

if TYPE_CHECKING:
    from tests.sim_system.system_simulation import Simulation

_SALES = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_COMPENSATIONS = frozenset({TransferCode.REVERSAL, TransferCode.VOID, TransferCode.REFUND})
_ENDS = frozenset({Status.COMPLETED, Status.REFUSED, Status.REVERSED})


def check_end(simulation: "Simulation") -> None:
    """Raise AssertionError for the first thing that does not hold."""
    _equations(simulation)
    _terminals(simulation)
    _ledger(simulation)
    _batches(simulation)
    _pin_tries(simulation)


def _equations(simulation: "Simulation") -> None:
    ledger = simulation.node.ledger
    assert ledger is not None, "the node is up at the end"
    slips = [slip for counter in simulation.counters for slip in counter.slips()]
    for equation in check_equations(ledger, simulation.registry, slips):
        assert equation.holds, equation
    assert ledger.verify().sum_minor == 0


def _terminals(simulation: "Simulation") -> None:
    """Nothing is owed, nothing waits, and what was printed stands."""
    for counter in simulation.counters:
        terminal = counter.terminal
        assert terminal is not None, "every terminal is up at the end"
        journal = terminal.journal
        assert not journal.owed()
        assert not journal.queued()
        for transaction in journal.transactions.values():
            if transaction.intent.kind.moves_money:
                assert transaction.status in _ENDS, transaction
        for stan, result in counter.printed.items():
            status = journal.transactions[stan].status
            refused_voucher = result.kind is Kind.VOUCHER and status is Status.REFUSED
            assert status is Status.COMPLETED or refused_voucher, f"a printed slip is {status}"


def _ledger(simulation: "Simulation") -> None:
    """Counters never repeat, compensations stay within their sale, no acknowledged sale is lost."""
    ledger = simulation.node.ledger
    assert ledger is not None
    created = {
        entry.transfer.id: entry.transfer
        for entry in ledger.entries()
        if entry.status == CreateTransferStatus.CREATED
    }
    every = {entry.transfer.id for entry in ledger.entries()}
    counters: Counter[tuple[int, int]] = Counter()
    left = {t.id: t.amount for t in created.values() if t.code in _SALES}
    reversals: Counter[int] = Counter()
    for transfer in created.values():
        if transfer.code in _SALES:
            counters[transfer.debit_account_id, SaleData.unpack(transfer.user_data_64).atc] += 1
        elif transfer.code in _COMPENSATIONS:
            left[transfer.user_data_128] -= transfer.amount
            reversals[transfer.user_data_128] += transfer.code == TransferCode.REVERSAL
        elif transfer.code == TransferCode.RESTORATION:
            left[transfer.user_data_128] += transfer.amount
    assert not [key for key, count in counters.items() if count > 1], "a card's counter repeats"
    assert min(left.values(), default=0) >= 0, "more was given back than was sold"
    assert simulation.acked.sales <= created.keys(), "an acknowledged sale is lost"
    assert simulation.acked.corrections <= every, "an acknowledged correction is lost"


def _batches(simulation: "Simulation") -> None:
    """The switch's batches are the ledger's and the terminals'."""
    node = simulation.node
    assert node.state is not None
    assert node.ledger is not None
    batches, uploads = node.state.file.batches()
    today = node.node.core.desk.memory.business_date
    result = reconcile(node.ledger.entries(), batches, uploads, today)
    wrong = [one for one in result.differences if one.kind not in NOTICES]
    assert not wrong, wrong


def _pin_tries(simulation: "Simulation") -> None:
    """No message cost two tries, and none a try that nobody mistyped."""
    node = simulation.node
    assert node.state is not None
    for who in simulation.holders:
        card = simulation.registry.card_by_pan(simulation.plan.pans[who.place])
        assert card is not None
        charged = node.state.file.load().pin_tries.get(card.card_number, ())
        assert len(charged) == len(set(charged)), "a message cost two tries"
