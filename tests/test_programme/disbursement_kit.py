"""What tests of a disbursement share: the month's amount, balances, the equations."""

from programme.equations import check_equations

MONTH_SEN = 30_000_000


def balances(ledger, cards):
    """Give what stands on each card's account, in sen."""
    found = ledger.lookup_accounts([card.account_id for card in cards])
    return [account.credit_balance for account in found]


def assert_equations(ledger, registry, slips=None):
    """Assert that every equation of the programme holds."""
    assert [e for e in check_equations(ledger, registry, slips) if not e.holds] == []
