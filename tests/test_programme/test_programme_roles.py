"""Who may do what, walked cell by cell: every action by every agency, through the real calls."""

from datetime import date, timedelta

import pytest

from programme.actors import Actor, Agency
from programme.errors import ProgrammeError, RoleError
from programme.offices import Office
from programme.registry import CardRequest, DecreeState, LineOutcome, MerchantKind, MerchantRequest
from programme.registry.proposals import ProposalKind
from programme.registry.proxies import ProxyRequest
from programme.registry_port import BlockReason, CardStatus
from programme.roles import actions, agencies_for, source_of
from protocols.values import Pan

DAY = date(2026, 1, 5)

#: Written out by hand, apart from roles.toml: W Wali Kota, K Diskominfo, D Dinsos PM, B bank,
#: E e-Warong, A auditor, O operator, S switch.
EXPECTED = """
person.attest_distinct D | person.mark D | person.open K
decree.integrasi K | decree.verifikasi D | decree.validasi D | decree.penetapan W
decree.pelaksanaan D | decree.read WKDBAO
card.printed K | card.at bank KB | card.collected KDB | card.active KDBS | card.blocked KDBS
card.unblocked KDB | card.replaced K | card.closed KD | card.pin KBS | card.read WKDBAO
merchant.register KDB | merchant.designate WDB | merchant.suspend WDB | merchant.resume WDB
merchant.read WKDBAO
terminal.register KDB | terminal.switch KDB | terminal.log_on KDBES | terminal.read WKDBAO
proxy.register KDB | proxy.end KDB | account.open WKDB
disbursement.propose D | disbursement.approve WDB | sweep.propose D | sweep.approve WDB
release.propose D | release.approve WDB | refund.propose DB | refund.approve DB
key.propose KB | key.approve KB | proposal.read WKDBAO | proposal.run WKDBO
report.read WKDBAO | audit.read WKDA | token.issue KO | token.revoke KO
"""
LETTERS = dict(zip("WKDBEAOS", (
    Agency.WALI_KOTA, Agency.DISKOMINFO, Agency.DINSOS_PM, Agency.BANK, Agency.E_WARONG,
    Agency.AUDITOR, Agency.OPERATOR, Agency.SWITCH,
), strict=True))  # fmt: skip


def test_matrix_is_what_was_agreed_and_each_cell_has_a_source():
    wanted = {}
    for cell in EXPECTED.replace("\n", " | ").split(" | "):
        if cell.strip():
            action, letters = cell.strip().rsplit(" ", 1)
            wanted[action] = {LETTERS[letter] for letter in letters}
    assert {action: set(agencies_for(action)) for action in actions()} == wanted
    assert set(LETTERS.values()) == set(Agency)
    assert all(len(source_of(action)) > 2 for action in actions())


def _shop(number="EWX00000000001"):
    return MerchantRequest(
        merchant_id=number, name="Toko", kind=MerchantKind.KUBE, district="Palaran",
        village="Bukuan", category="5411",
    )  # fmt: skip


def _proxy():
    return ProxyRequest(
        card_number=1, nik="9972010101900009", name="Wakil Rekaan", reason="sakit",
        valid_from=DAY, valid_until=DAY + timedelta(days=9),
    )  # fmt: skip


def _card():
    return CardRequest(
        recipient_number=999, pan=Pan("9360099999999990"), pan_sequence="01",
        expires_on=date(2030, 12, 31), pin_offset="123456",
    )  # fmt: skip


def _replace(registry, actor):
    request = _card()
    registry.cards.replace(
        999, pan=request.pan, pan_sequence="01", expires_on=request.expires_on,
        pin_offset="123456", actor=actor,
    )  # fmt: skip


def _decide(kind):
    """Approve a proposal of this kind that somebody else made."""
    maker = {"disbursement": Agency.DINSOS_PM, "sweep": Agency.DINSOS_PM,
             "release": Agency.DINSOS_PM, "refund": Agency.BANK, "key": Agency.BANK}  # fmt: skip

    def call(registry, office, actor):
        made = registry.proposals.propose(
            ProposalKind(kind), {"for": actor.agency.value}, Actor(maker[kind], "maker")
        )
        registry.proposals.approve(made.number, actor)

    return call


#: One real call behind each cell. Some then fail for another reason, which is no RoleError.
CALLS = {
    "person.attest_distinct": lambda r, o, a: r.people.attest_distinct("9972010101900001", a),
    "person.mark": lambda r, o, a: r.marks.attest([999], "mustahik", DAY, a),
    "person.open": lambda r, o, a: o.identity(999, a),
    "decree.integrasi": lambda r, o, a: r.decrees.add(None, [], [], a),
    "decree.verifikasi": lambda r, o, a: r.decrees.set_outcome(99, 1, LineOutcome.ELIGIBLE, a),
    "decree.validasi": lambda r, o, a: r.decrees.move(99, DecreeState.VALIDATION, a),
    "decree.penetapan": lambda r, o, a: r.decrees.move(99, DecreeState.DETERMINATION, a),
    "decree.pelaksanaan": lambda r, o, a: r.decrees.move(99, DecreeState.EXECUTION, a),
    "decree.read": lambda r, o, a: o.decrees(a),
    "card.printed": lambda r, o, a: r.cards.issue([_card()], a),
    "card.at bank": lambda r, o, a: o.move([999], CardStatus.AT_BANK, a),
    "card.collected": lambda r, o, a: o.move([999], CardStatus.COLLECTED, a),
    "card.active": lambda r, o, a: o.move([999], CardStatus.ACTIVE, a),
    "card.blocked": lambda r, o, a: o.block([999], BlockReason.LOST, a),
    "card.unblocked": lambda r, o, a: o.unblock([999], a),
    "card.replaced": lambda r, o, a: _replace(r, a),
    "card.closed": lambda r, o, a: o.move([999], CardStatus.CLOSED, a),
    "card.pin": lambda r, o, a: r.cards.set_pin_offset(999, "123456", a),
    "card.read": lambda r, o, a: o.cards(a),
    "merchant.register": lambda r, o, a: o.add_merchant(_shop(f"EWX{a.agency.name[:9]}"
                                                              .replace("_", "")), a),
    "merchant.designate": lambda r, o, a: o.designate("EWX0", a),
    "merchant.suspend": lambda r, o, a: r.suspend("EWX0", a, "audit"),
    "merchant.resume": lambda r, o, a: r.shops.resume("EWX0", a),
    "merchant.read": lambda r, o, a: o.merchants(a),
    "terminal.register": lambda r, o, a: r.shops.add_terminals([], a),
    "terminal.switch": lambda r, o, a: r.shops.set_active("12409999", False, a),
    "terminal.log_on": lambda r, o, a: r.shops.log_on("12409999", "EWX0", a),
    "terminal.read": lambda r, o, a: o.terminals(a),
    "proxy.register": lambda r, o, a: r.proxies.register(_proxy(), a),
    "proxy.end": lambda r, o, a: r.proxies.end(99, a),
    "account.open": lambda r, o, a: r.accounts.allot(1, a),
    "proposal.read": lambda r, o, a: o.proposals(a),
    "proposal.run": lambda r, o, a: o.run_proposal(99, a),
    "report.read": lambda r, o, a: o.report("uncollected", DAY, a),
    "audit.read": lambda r, o, a: o.audit(a, 1),
    "token.issue": lambda r, o, a: r.tokens.issue(a, 1, a),
    "token.revoke": lambda r, o, a: r.tokens.revoke(99, a),
} | {
    f"{kind}.propose": (
        lambda r, o, a, kind=kind: r.proposals.propose(ProposalKind(kind), {"by": a.agency}, a)
    )
    for kind in ProposalKind
} | {f"{kind}.approve": _decide(kind) for kind in ProposalKind}  # fmt: skip


@pytest.mark.parametrize("action", actions())
def test_each_agency_is_refused_where_the_table_has_no_mark_and_nowhere_else(
    registry, ledger, action
):
    office = Office(registry, ledger)
    for agency in Agency:
        actor, before = Actor(agency, f"staf {agency.name}"), registry.version
        refusal = _refusal(lambda actor=actor: CALLS[action](registry, office, actor))
        assert (refusal is not None) == (agency not in agencies_for(action)), agency
        if refusal is not None:
            assert f"`{action}`" in refusal.said("en")
            assert "tidak berwenang" in refusal.said("id")
            made = 1 if action.endswith(".approve") else 0
            assert registry.version == before + made, "a refused call changes nothing"


def _refusal(call):
    """Give the RoleError of a call, None when it went through or failed for another reason."""
    try:
        call()
    except RoleError as error:
        return error
    except (ProgrammeError, AttributeError):
        return None
    return None
