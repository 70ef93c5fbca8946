"""Two people: proposals, their states, who may decide, and carrying out after whatever stopped."""

from datetime import date

import pytest

from programme.actors import Actor, Agency
from programme.disbursement import DisbursementResult
from programme.equations import check_equations
from programme.errors import (
    DisbursementError,
    NotFoundError,
    ProposalError,
    RoleError,
)
from programme.keystore import Keystore
from programme.policy import policy
from programme.registry.proposals import ProposalKind, ProposalState
from programme.two_people import TwoPeople
from protocols.values import SecretBytes

MONTH = "2026-01"


@pytest.fixture
def two(registry, ledger, tmp_path, random_bytes) -> TwoPeople:
    keystore = Keystore.create(tmp_path / "keys.json", SecretBytes(b"m" * 32), random_bytes)
    return TwoPeople(registry, ledger, keystore)


def test_maker_and_checker_in_different_processes_pay_once(
    registry, open_registry, ledger, actors, determined, two
):
    decree, _cards = determined(3)
    made = two.propose_disbursement(decree, MONTH, actors.dinsos)
    assert (made.state, made.checker) == (ProposalState.PROPOSED, None)
    assert (made.terms["total_sen"], made.terms["people"]) == (90_000_000, 3)
    other = open_registry()
    other.proposals.approve(made.number, actors.checker)
    assert registry.proposals.get(made.number).checker == actors.checker
    done, result = two.carry_out(made.number)
    assert isinstance(result, DisbursementResult)
    assert (done.state, done.outcome["credited_sen"]) == (ProposalState.DONE, 90_000_000)
    assert all(equation.holds for equation in check_equations(ledger, registry))
    with pytest.raises(ProposalError, match="`done`, not `approved`"):
        two.carry_out(made.number)


def test_carrying_out_again_after_a_stop_credits_nobody_twice(
    registry, ledger, actors, determined, two, monkeypatch
):
    decree, _cards = determined(3)
    made = two.propose_disbursement(decree, MONTH, actors.dinsos)
    two.approve(made.number, actors.checker)

    def power_cut(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(registry.proposals), "finish", power_cut)
        with pytest.raises(KeyboardInterrupt):
            two.carry_out(made.number)
    assert registry.proposals.get(made.number).state is ProposalState.APPROVED
    _done, result = two.carry_out(made.number)
    assert (result.credited_count, result.credited_before_count) == (0, 3)


def test_both_at_one_desk_take_up_what_a_kill_left_open(registry, actors, determined, two):
    decree, _cards = determined(2)
    made = two.propose_disbursement(decree, MONTH, actors.dinsos)
    result = two.disburse_at_once(decree, MONTH, actors.dinsos, actors.checker)
    assert result.credited_count == 2
    assert [p.number for p in registry.proposals.all(ProposalState.DONE)] == [made.number]


def test_maker_may_not_check_under_whatever_agency_or_spelling(registry, actors, two, determined):
    decree, _cards = determined(1)
    made = two.propose_disbursement(decree, MONTH, actors.dinsos)
    version = registry.version
    for actor in (actors.dinsos, Actor(Agency.BANK, " STAF-02")):
        with pytest.raises(ProposalError) as refused:
            two.approve(made.number, actor)
        assert refused.value.said("id").startswith("pembuat dan pemeriksa adalah orang yang sama")
        assert refused.value.said("en").startswith("maker and checker are the same person")
        with pytest.raises(ProposalError, match="same person"):
            two.reject(made.number, actor, "salah")
    with pytest.raises(ProposalError, match="same person"):
        two.disburse_at_once(decree, "2026-02", actors.dinsos, actors.dinsos)
    assert registry.version == version


def test_not_approved_nothing_is_carried_out(ledger, actors, determined, two):
    decree, _cards = determined(1)
    made = two.propose_disbursement(decree, MONTH, actors.dinsos)
    with pytest.raises(ProposalError, match="`proposed`, not `approved`"):
        two.carry_out(made.number)
    two.reject(made.number, actors.checker, "daftar belum lengkap")
    with pytest.raises(ProposalError, match="`rejected`, not `approved`"):
        two.carry_out(made.number)
    assert ledger.last_sequence == 0


#: From each state, what each call leads to; None is refused.
STATES = {
    "approve": {"proposed": "approved"},
    "reject": {"proposed": "rejected"},
    "withdraw": {"proposed": "withdrawn"},
    "finish": {"approved": "done", "done": "done"},
}


def _brought_to(registry, actors, state, key):
    made = registry.proposals.propose(ProposalKind.SWEEP, {"case": key}, actors.dinsos).number
    if state in ("approved", "done"):
        registry.proposals.approve(made, actors.checker)
    if state == "done":
        registry.proposals.finish(made, {}, actors.dinsos)
    if state == "rejected":
        registry.proposals.reject(made, actors.checker, "x")
    if state == "withdrawn":
        registry.proposals.withdraw(made, actors.dinsos)
    assert registry.proposals.get(made).state == state
    return made


@pytest.mark.parametrize("state", list(ProposalState))
def test_every_call_in_every_state_does_what_the_table_says(registry, actors, state):
    book = registry.proposals
    calls = {
        "approve": lambda n: book.approve(n, actors.checker),
        "reject": lambda n: book.reject(n, actors.checker, "x"),
        "withdraw": lambda n: book.withdraw(n, actors.dinsos),
        "finish": lambda n: book.finish(n, {}, actors.dinsos),
    }
    for name, call in calls.items():
        number = _brought_to(registry, actors, state, f"{state} {name}")
        before, wanted = registry.version, STATES[name].get(state)
        if wanted is None:
            with pytest.raises(ProposalError, match=f"`{state}`"):
                call(number)
            assert (book.get(number).state, registry.version) == (state, before)
        else:
            assert call(number).state == wanted


def test_same_matter_is_proposed_once_at_a_time(registry, actors, two, determined):
    decree, _cards = determined(1)
    made = two.propose_disbursement(decree, MONTH, actors.dinsos)
    with pytest.raises(ProposalError, match=f"proposal {made.number} .* still open"):
        two.propose_disbursement(decree, MONTH, actors.checker)
    two.withdraw(made.number, actors.dinsos)
    assert two.propose_disbursement(decree, MONTH, actors.checker).number == made.number + 1


def test_only_the_maker_withdraws(actors, two, determined):
    decree, _cards = determined(1)
    made = two.propose_disbursement(decree, MONTH, actors.dinsos)
    with pytest.raises(ProposalError, match="only its maker"):
        two.withdraw(made.number, actors.checker)


def test_old_proposal_is_not_approved(registry, clock, actors, two, determined):
    decree, _cards = determined(1)
    made = two.propose_disbursement(decree, MONTH, actors.dinsos)
    clock._now_ns += (policy().proposal_days_max * 86_400 + 60) * 10**9
    with pytest.raises(ProposalError, match="older than 30 days"):
        two.approve(made.number, actors.checker)
    assert registry.proposals.get(made.number).state is ProposalState.PROPOSED


def test_what_may_not_be_done_may_not_be_proposed(registry, actors, two, decree_file, determined):
    decree, _cards = determined(1)
    before = registry.version
    with pytest.raises(DisbursementError, match="not within"):
        two.propose_disbursement(decree, "2030-01", actors.dinsos)
    with pytest.raises(DisbursementError, match="control figure"):
        two.propose_disbursement(decree, MONTH, actors.dinsos, amount_sen=1)
    with pytest.raises(NotFoundError, match="decree 9 is not registered"):
        two.propose_disbursement(9, MONTH, actors.dinsos)
    with pytest.raises(RoleError):
        two.propose_disbursement(decree, MONTH, actors.bank)
    with pytest.raises(NotFoundError, match="no purchase with this id"):
        two.propose_refund(77, 100, "salah ketik", actors.dinsos)
    with pytest.raises(NotFoundError, match="shop NONE is not registered"):
        two.propose_key("12400001", "NONE", actors.bank)
    with pytest.raises(DisbursementError, match="of a later year"):
        two.propose_release(decree, 2026, actors.dinsos)
    with pytest.raises(NotFoundError, match="proposal 9 is not registered"):
        two.approve(9, actors.checker)
    assert registry.version == before


def test_first_key_and_new_key_of_a_terminal_take_two_people(registry, actors, two, add_shop):
    add_shop(designated=True)
    second = Actor(Agency.BANK, "bank-02")
    first = two.key_at_once("12400001", "EWSMDPLR0000001", actors.bank, second)
    view = registry.terminal("12400001")
    assert (view.key_label, view.home_merchant_id) == (first.label, "EWSMDPLR0000001")
    assert registry.shops.key_check_value("12400001") == first.check_value
    again = two.key_at_once("12400001", "EWSMDPLR0000001", second, actors.bank)
    assert (first.generation, again.generation) == (1, 2)
    assert again.check_value != first.check_value
    assert registry.shops.key_check_value("12400001") == again.check_value
    assert "value" not in repr(registry.trail.tail(1)[0].after).replace("check_value", "")


@pytest.mark.parametrize("first_key", [True, False])
def test_key_that_was_given_before_a_kill_is_not_given_twice_by_the_next_run(
    registry, actors, two, add_shop, monkeypatch, first_key
):
    add_shop(designated=True)
    shop, second = "EWSMDPLR0000001", Actor(Agency.BANK, "bank-02")
    if not first_key:
        two.key_at_once("12400001", shop, actors.bank, second)
    made = two.propose_key("12400001", shop, actors.bank)
    with pytest.raises(ProposalError, match="still open"):
        two.propose_key("12400001", shop, second)
    two.approve(made.number, second)
    with monkeypatch.context() as patch:
        patch.setattr(registry.proposals, "finish", _die)
        with pytest.raises(KeyboardInterrupt):
            two.carry_out(made.number)
    given, before = registry.shops.key_check_value("12400001"), registry.version
    _done, again = two.carry_out(made.number)
    assert registry.version == before + 1, "signed off, and no key was set again"
    assert (again.check_value, again.generation) == (given, 1 if first_key else 2)
    assert registry.shops.key_check_value("12400001") == given


def test_two_at_one_desk_finish_the_key_that_a_kill_left_open(
    registry, actors, two, add_shop, monkeypatch
):
    add_shop(designated=True)
    shop, second = "EWSMDPLR0000001", Actor(Agency.BANK, "bank-02")
    with monkeypatch.context() as patch:
        patch.setattr(registry.proposals, "finish", _die)
        with pytest.raises(KeyboardInterrupt):
            two.key_at_once("12400001", shop, actors.bank, second)
    given = registry.shops.key_check_value("12400001")
    again = two.key_at_once("12400001", shop, actors.bank, second)
    assert (again.check_value, again.generation) == (given, 1)
    assert registry.proposals.all(ProposalState.APPROVED) == []


def _die(*_arguments):
    raise KeyboardInterrupt


def test_sweep_is_proposed_and_carried_out(registry, actors, two, determined, clock):
    decree, _cards = determined(2)
    two.disburse_at_once(decree, MONTH, actors.dinsos, actors.checker)
    with pytest.raises(DisbursementError, match="has not come yet"):
        two.propose_sweep(date(2027, 1, 1), actors.dinsos)
    clock.move(days=361)
    made = two.propose_sweep(date(2027, 1, 1), actors.dinsos)
    two.approve(made.number, actors.mayor)
    done, _result = two.carry_out(made.number)
    assert done.outcome == {"swept_sen": 60_000_000, "tranches": 2}
