"""Proxies, marks of a fund, tokens: registered, ended, bounded, in force when the call returned."""

from datetime import date, timedelta

import pytest

from programme.actors import Actor, Agency
from programme.disbursement import HeldReason, disburse
from programme.errors import NotFoundError, RuleError
from programme.limits import TOKEN_DAYS_MAX
from programme.registry.proxies import ProxyRequest
from programme.registry_port import CardStatus
from protocols.values import SecretBytes

TODAY = date(2026, 1, 5)
OPERATOR = Actor(Agency.OPERATOR, "op-01")


def _wanted(card=1, nik="9972010101900009", days=30, **changes):
    given = {
        "card_number": card, "nik": nik, "name": "Wakil Rekaan", "reason": "sakit",
        "valid_from": TODAY, "valid_until": TODAY + timedelta(days=days - 1),
    }  # fmt: skip
    return ProxyRequest(**{**given, **changes})


def test_proxy_may_act_for_its_card_within_its_days_and_for_no_other(
    registry, actors, active_cards
):
    first, second = active_cards(2)
    proxy = registry.proxies.register(_wanted(), actors.dinsos)
    assert registry.proxy(proxy.proxy_number) == proxy
    last = TODAY + timedelta(days=29)
    cases = [
        (first, TODAY - timedelta(days=1), False), (first, TODAY, True), (first, last, True),
        (first, last + timedelta(days=1), False), (second, TODAY, False),
    ]  # fmt: skip
    assert [proxy.acts_for(card, day) for card, day, _ in cases] == [yes for *_, yes in cases]
    assert registry.proxy(99) is None


def test_proxy_stays_with_the_account_when_the_card_is_replaced(
    registry, actors, active_cards, replace_card
):
    active_cards(1)
    proxy = registry.proxies.register(_wanted(), actors.bank)
    fresh = replace_card(1, "9360099999999990")
    assert proxy.acts_for(fresh, TODAY)
    assert registry.proxies.of_card(fresh.card_number) == [proxy]


def test_ended_proxy_is_refused_when_the_call_returned_and_in_another_process(
    registry, open_registry, actors, active_cards
):
    (card,) = active_cards(1)
    proxy = registry.proxies.register(_wanted(), actors.dinsos)
    other = open_registry()
    ended = registry.proxies.end(proxy.proxy_number, actors.diskominfo)
    assert not ended.acts_for(card, TODAY)
    assert registry.proxies.end(proxy.proxy_number, actors.diskominfo) == ended
    assert other.refresh()
    assert not other.proxy(proxy.proxy_number).acts_for(card, TODAY)


def test_proxy_beyond_the_policy_is_refused_and_nothing_kept(registry, actors, active_cards):
    active_cards(3)
    registry.move_cards([3], CardStatus.CLOSED, actors.dinsos)
    registry.proxies.register(_wanted(1), actors.dinsos)
    registry.proxies.register(_wanted(2), actors.dinsos)
    before = registry.version
    for request, text in [
        (_wanted(1), "acts for 2 cards already, the limit is 2"),
        (_wanted(1, "9972010101900008", days=367), "for 1 to 366 days"),
        (_wanted(1, "9972010101900008", days=0), "for 1 to 366 days"),
        (_wanted(1, "9972010101900008", valid_from=date(2025, 1, 1),
                 valid_until=date(2025, 2, 1)), "has passed already"),
        (_wanted(1, "997201010190000"), "15 digits, not 16"),
        (_wanted(1, "9972010101900008", name=" "), "nama: 1 to 120"),
        (_wanted(3, "9972010101900008"), "card 3 is `closed`"),
    ]:  # fmt: skip
        with pytest.raises(RuleError, match=text) as refused:
            registry.proxies.register(request, actors.dinsos)
        assert " / " in str(refused.value)
    with pytest.raises(NotFoundError):
        registry.proxies.register(_wanted(9), actors.dinsos)
    assert registry.version == before


def test_proxy_is_sealed_and_named_nowhere(registry, actors, active_cards):
    active_cards(1)
    request = _wanted()
    registry.proxies.register(request, actors.dinsos)
    shown = repr(request) + repr(registry.trail.records()) + repr(registry.proxy(1))
    assert "Wakil" not in shown
    assert "9972010101900009" not in shown


def test_zakat_goes_to_who_has_the_mark_on_the_day_and_the_rest_is_held(
    registry, ledger, actors, determined, decree_text, tmp_path
):
    from programme.decree import import_decree, read_decree
    from programme.registry import DecreeState

    path = tmp_path / "zakat.csv"
    path.write_text(decree_text(3).replace("#sumber_dana: APBD", "#sumber_dana: BAZNAS"), "utf-8")
    import_decree(registry, read_decree(path), actors.diskominfo)
    for state, actor in [("verifikasi", actors.dinsos), ("validasi", actors.dinsos),
                         ("penetapan", actors.mayor)]:  # fmt: skip
        registry.decrees.move(1, DecreeState(state), actor)
    from tests.test_programme.conftest import _issue_active

    _issue_active(registry, actors, range(1, 4))
    registry.marks.attest([1, 2], "mustahik", date(2026, 12, 31), actors.dinsos)
    registry.marks.attest([2], "mustahik", TODAY, actors.dinsos)
    result = disburse(ledger, registry, 1, "2026-01", None, actors.dinsos, actors.checker)
    assert result.credited_count == 2
    assert [(h.recipient_number, h.reason) for h in result.held] == [(3, HeldReason.FUND)]
    assert registry.marks.holders("mustahik", date(2026, 6, 1)) == {1}


def test_wrong_mark_changes_nobody(registry, actors, people):
    people(2)
    before = registry.version
    with pytest.raises(RuleError, match="no mark `kaya`"):
        registry.marks.attest([1], "kaya", date(2026, 12, 31), actors.dinsos)
    with pytest.raises(RuleError, match="has passed"):
        registry.marks.attest([1], "mustahik", date(2026, 1, 1), actors.dinsos)
    with pytest.raises(NotFoundError, match="recipient 7"):
        registry.marks.attest([1, 7], "mustahik", date(2026, 12, 31), actors.dinsos)
    assert registry.version == before
    assert registry.marks.holders("mustahik", TODAY) == set()


def test_token_gives_its_bearer_until_it_ends_and_is_kept_as_a_hash(
    registry, clock, actors, registry_place
):
    record, token = registry.tokens.issue(actors.dinsos, 2, OPERATOR)
    assert registry.tokens.bearer(token) == actors.dinsos
    assert token.reveal().hex() not in repr(registry.trail.records())
    assert str(token.reveal()) not in repr(record)
    clock._now_ns += 2 * 86_400 * 10**9
    with pytest.raises(RuleError) as expired:
        registry.tokens.bearer(token)
    assert "sudah kedaluwarsa" in expired.value.said("id")


def test_revoked_and_unknown_tokens_are_refused_alike(registry, actors):
    record, token = registry.tokens.issue(actors.bank, 30, OPERATOR)
    _other, kept = registry.tokens.issue(actors.bank, 30, OPERATOR)
    assert registry.tokens.revoke(record.number, OPERATOR).revoked_at_ns
    said = set()
    for wrong in (token, SecretBytes(b"x" * 32), SecretBytes(b"")):
        with pytest.raises(RuleError) as refused:
            registry.tokens.bearer(wrong)
        said.add(str(refused.value))
    assert len(said) == 1
    assert registry.tokens.bearer(kept) == actors.bank
    assert [t.number for t in registry.tokens.all()] == [1, 2]
    for days in (0, TOKEN_DAYS_MAX + 1):
        with pytest.raises(RuleError, match="1 to 366 days"):
            registry.tokens.issue(actors.bank, days, OPERATOR)
    with pytest.raises(NotFoundError):
        registry.tokens.revoke(9, OPERATOR)


def test_suspension_ends_after_its_meant_last_day(registry, clock, actors, add_shop):
    add_shop(designated=True)
    registry.suspend("EWSMDPLR0000001", actors.dinsos, "audit")
    assert registry.shops.resume_due(actors.dinsos) == []
    registry.shops.suspend("EWSMDPLR0000001", actors.dinsos, "audit", TODAY)
    assert registry.shops.resume_due(actors.dinsos) == []
    assert registry.merchant("EWSMDPLR0000001").suspended
    clock._now_ns += 86_400 * 10**9
    assert registry.shops.resume_due(actors.dinsos) == ["EWSMDPLR0000001"]
    assert not registry.merchant("EWSMDPLR0000001").suspended
    steps = [(s.state, s.reason, s.until) for s in registry.shops.steps("EWSMDPLR0000001")]
    assert steps[-3:] == [
        ("suspended", "audit", ""), ("suspended", "audit", "2026-01-05"), ("resumed", "", ""),
    ]  # fmt: skip
