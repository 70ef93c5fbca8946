"""Every kind of fault that reference/emv.md 4.4 names is in the catalogue, and each is played."""

import asyncio

import pytest

from cardsim import published_authority
from cardsim.fault_kinds import FaultKind, fault_kinds
from cardsim.faults import FaultAction
from cardsim.weak_keys import SMALL_PRIMES, betrays_itself
from lumbung.testing import Purchase, VirtualCard, issuer_script, virtual_card
from protocols.emv import tlv
from terminal.kernel import KernelOutcome, OutcomeKind

#: The table of reference/emv.md 4.4, row by row, in the catalogue's words.
TABLE = {
    "transport": {
        "mute", "slow", "slow with jitter", "torn before a command", "torn after a command",
        "torn between non-volatile writes", "put back with its counter advanced",
        "wrong answer to reset", "short answer to reset", "no answer to reset",
        "long answer to reset", "another protocol than it says", "answer of no byte",
        "answer of one byte", "answer that is too long", "endless 61xx",
        "6Cxx with a wrong length",
    },
    "status": {"6A81", "6283", "6985", "6983", "63C0", "6D00", "6F00", "6300"},
    "data": {
        "length beyond the template", "indefinite length", "object twice",
        "mandatory object missing", "bytes behind the template", "wrong template",
        "file locator beyond the records", "list that asks an unknown object",
        "list longer than a command", "odd track 2", "number that is not track 2's",
    },
    "security": {
        "bad issuer certificate", "expired issuer certificate",
        "certificate of another card's number", "static data changed", "bad dynamic signature",
        "wrong transaction hash", "weak key", "wrong cryptogram", "stuck counter",
        "replayed unpredictable number", "cryptogram over another amount",
        "wrong issuer answer accepted", "wrong PIN costs no try",
    },
    "policy": {
        "expired", "not yet effective", "no goods allowed", "application blocked", "card blocked",
        "PIN blocked", "offline limits exceeded", "higher cryptogram than asked",
        "lower cryptogram than its rules say", "refuses the second cryptogram", "script fails",
    },
}  # fmt: skip
PIN = "123456"


def test_catalogue_has_every_kind_of_the_table_and_uses_every_action() -> None:
    found: dict[str, set[str]] = {}
    for kind in fault_kinds().values():
        found.setdefault(kind.kind, set()).add(kind.name)
    assert found == TABLE
    used = {fault.action for kind in fault_kinds().values() for fault in kind.faults}
    assert set(FaultAction) == used


def card_with(kind: FaultKind) -> VirtualCard:
    return virtual_card(kind.profile, seed=7, pin=PIN, faults=kind.faults, **kind.content)


async def purchase(kind: FaultKind, card: VirtualCard) -> Purchase:
    def scripts(outcome: KernelOutcome) -> list[tuple[str, bytes]]:
        writer = card.issuer.scripts(outcome.de55["9F26"])
        return [("72", issuer_script([writer.block_application()]))]

    made = scripts if kind.name == "script fails" else None
    return await card.buy(500_000, pin=PIN, timeout_ms=20, scripts=made)


@pytest.mark.slow
def test_fault_of_every_kind_strikes_and_the_terminal_makes_of_it_what_the_catalogue_says() -> None:
    wrong = []
    for kind in fault_kinds().values():
        card = card_with(kind)
        bought = asyncio.run(purchase(kind, card))
        last = bought.completion or bought.outcome
        struck = {entry.fault for entry in card.trace.entries if entry.fault}
        if struck != {fault.action.value for fault in kind.faults}:
            wrong.append((kind.name, "in the trace", struck))
        if (bought.text, bought.is_genuine is False) != (kind.terminal, not kind.genuine):
            wrong.append((kind.name, kind.terminal, bought.text))
        if kind.tvr and last.tvr != kind.tvr:
            wrong.append((kind.name, kind.tvr.hex(), last.tvr.hex()))
    assert not wrong


@pytest.mark.slow
def test_fault_of_no_kind_outlives_the_plan() -> None:
    """What pretends leaves the card's content alone; only counters and logs may have moved."""
    wrong = []
    for kind in fault_kinds().values():
        card = card_with(kind)
        before = card.image.applications[0]
        records, blocked = dict(before.records), (before.state.blocked, card.image.blocked)
        asyncio.run(purchase(kind, card))
        after = card.image.applications[0]
        if after.records != records or (after.state.blocked, card.image.blocked) != blocked:
            wrong.append(kind.name)
    assert not wrong


def test_spent_limits_are_in_the_first_cryptograms_results() -> None:
    for name, bits in (("offline limits exceeded", 0xC0), ("PIN blocked", 0x00)):
        kind = fault_kinds()[name]
        bought = asyncio.run(purchase(kind, card_with(kind)))
        results = bought.outcome.de55["9F10"][2:7]
        assert results[2] & 0xC0 == bits
        assert bool(results[1] & 0x02) == (name == "PIN blocked")


def test_counter_advanced_shows_in_the_next_purchase() -> None:
    kind = fault_kinds()["put back with its counter advanced"]
    card = card_with(kind)
    bought = asyncio.run(purchase(kind, card))
    assert bought.outcome.de55["9F36"] == (6).to_bytes(2, "big")


def test_stuck_counter_is_the_same_in_two_purchases() -> None:
    kind = fault_kinds()["stuck counter"]
    card = card_with(kind)
    seen = [asyncio.run(purchase(kind, card)).outcome.de55["9F36"] for _ in range(2)]
    assert seen == [b"\x00\x01", b"\x00\x01"]


def shown(card: VirtualCard) -> dict[str, bytes]:
    """Give every data object as the card shows it."""
    return {
        tag: value
        for record in card.card.applications[0].records.values()
        for tag, value in tlv.parse_flat(record, duplicates=True, leaves=True).items()
    }


@pytest.mark.parametrize(("name", "weak"), [("weak key", True), ("static data changed", False)])
def test_weak_key_betrays_itself_and_a_good_one_does_not(name: str, weak: bool) -> None:
    kind = fault_kinds()[name]
    card = card_with(kind)
    asyncio.run(purchase(kind, card))
    key = card.card.applications[0].key
    assert key is not None
    # By the definition of the flaw, not by our own function: powers of 65537, small prime by prime.
    modulus = int.from_bytes(key.public.modulus, "big")
    powers = {prime: {pow(65537, n, prime) for n in range(prime)} for prime in SMALL_PRIMES}
    assert all(modulus % prime in powers[prime] for prime in SMALL_PRIMES) is weak
    assert betrays_itself(modulus) is weak
    assert key.public.modulus not in shown(card)["9F46"]


@pytest.mark.parametrize(
    ("profile", "authority"), [("emv-generic", "published"), ("emv-long", "published-long")]
)
def test_expired_certificate_is_the_issuers_own_but_for_its_date(
    profile: str, authority: str
) -> None:
    kind = fault_kinds()["expired issuer certificate"]
    card = virtual_card(profile, seed=7, faults=kind.faults)
    objects: dict[str, bytes] = {}
    card.send(f"00A4040007{card.image.applications[0].aid.hex()}00")
    card.send("80A8000007" + "8305036020D8C8" + "00")
    for sfi, number in card.image.applications[0].records:
        answer = card.send(f"00B2{number:02X}{sfi << 3 | 4:02X}00")
        objects.update(tlv.parse_flat(answer.data, duplicates=True, leaves=True))
    ca = published_authority(authority).ca.public
    own = ca.recover(shown(card)["90"])
    expired = ca.recover(objects["90"])
    assert (own[6:8].hex(), expired[6:8].hex()) == ("1249", "1225")
    assert own[8:-21] == expired[8:-21]


def test_counters_are_never_advanced_beyond_the_last() -> None:
    plan = '[[fault]]\naction = "counter advanced"\ncommand = "POWER"\ncount = 70000\n'
    card = virtual_card(faults=plan)
    bought = asyncio.run(card.buy(500_000))
    assert card.image.applications[0].state.atc == 0xFFFF
    assert bought.outcome.kind is OutcomeKind.NOT_ACCEPTED


def test_foreign_certificate_is_good_but_of_another_number() -> None:
    kind = fault_kinds()["certificate of another card's number"]
    card = card_with(kind)
    before = shown(card)["9F46"]
    asyncio.run(purchase(kind, card))
    after = shown(card)["9F46"]
    issuer = published_authority().issuer.public
    numbers = [issuer.recover(certificate)[2:12].hex() for certificate in (before, after)]
    own = shown(card)["5A"].hex()
    assert numbers[0].startswith(own)
    assert not numbers[1].startswith(own)


def test_key_fault_of_a_card_without_such_a_key_strikes_nothing() -> None:
    for profile, action in (
        ("ssn", "weak key"),
        ("ssn", "foreign certificate"),
        ("emv-long", "weak key"),
    ):
        plan = f'[[fault]]\naction = "{action}"\ncommand = "SELECT"\n'
        card = virtual_card(profile, faults=plan)
        bought = asyncio.run(card.buy(500_000))
        assert bought.approved
        assert not [entry for entry in card.trace.entries if entry.fault]


def test_delays_with_jitter_are_the_same_under_a_seed_and_stay_in_their_range() -> None:
    [fault] = fault_kinds()["slow with jitter"].faults
    drawn = [fault.wait_ms(0, number) for number in range(200)]
    assert drawn == [fault.wait_ms(0, number) for number in range(200)]
    assert set(drawn) == {0, 1, 2, 3}
