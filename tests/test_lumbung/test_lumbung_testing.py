"""The public API for tests: cards under a seed, purchases, scripts, faults, traces, fixtures."""

import datetime
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cardsim import CardImage, FaultPlanError, ProfileError, together
from cardsim.faults import Fault, FaultAction
from lumbung.testing import (
    CardIssuer,
    VirtualCard,
    buy,
    issuer_script,
    terminal_for,
    virtual_card,
)
from lumbung.testing.cards import make_image
from protocols.business_time import WITA
from protocols.card_slot import CardMuteError, CardRemovedError
from protocols.emv.balance_mirror import BalanceMirror
from terminal.kernel import KernelOutcome

pytestmark = pytest.mark.slow

AMOUNT_SEN = 500_000
SELECT_PSE = "00A404000E315041592E5359532E444446303100"
SELECT_SSN = "00A4040005F053534E0100"
PROFILES = ("emv-generic", "nsiccs-debit", "ssn")


@pytest.mark.parametrize("profile", PROFILES)
async def test_card_of_every_profile_buys_and_its_issuer_knows_the_cryptogram(profile: str) -> None:
    card = virtual_card(profile, seed=7, pin="123456")
    bought = await card.buy(AMOUNT_SEN, pin="123456")
    assert (bought.approved, bought.is_genuine) == (True, True), bought.text
    assert card.image.applications[0].state.atc == 1


async def test_cards_of_a_seed_are_equal_and_behave_equally_and_other_seeds_differ() -> None:
    first, second, other = (virtual_card(seed=seed) for seed in (7, 7, 8))
    for card in (first, second, other):
        await card.buy(AMOUNT_SEN)
    assert first.image.to_json() == second.image.to_json()
    assert first.trace.text() == second.trace.text()
    assert first.image.to_json() != other.image.to_json()


@pytest.mark.parametrize(
    ("options", "text", "approved"),
    [
        ({"arc": "51"}, "declined (host-declined)", False),
        ({"arc": None}, "declined (unable-to-go-online)", False),
        ({"tap": True}, "approved (approved-tap)", True),
        ({"tap": True, "arc": "51"}, "declined (host-declined)", False),
        ({"tap": True, "arc": None}, "online (go-online)", False),
    ],
)
async def test_purchase_ends_as_its_host_says(
    options: dict[str, object], text: str, approved: bool
) -> None:
    bought = await virtual_card().buy(AMOUNT_SEN, **options)
    assert (bought.text, bought.approved) == (text, approved)


async def test_forged_cryptogram_is_told_and_declined() -> None:
    card = virtual_card(faults=[Fault(FaultAction.OTHER_AMOUNT, "GENERATE_AC")])
    bought = await card.buy(AMOUNT_SEN)
    assert (bought.is_genuine, bought.approved) == (False, False)


async def test_scripts_in_a_purchase_change_the_card() -> None:
    card = virtual_card(pin="123456")
    mirror = BalanceMirror(12_300, datetime.datetime(2026, 1, 5, 9, 14, 7, tzinfo=WITA))

    def scripts(outcome: KernelOutcome) -> list[tuple[str, bytes]]:
        writer = card.issuer.scripts(outcome.de55["9F26"])
        sent = [writer.unblock_pin(), writer.put_balance(mirror), writer.block_application()]
        return [("72", issuer_script(sent))]

    bought = await card.buy(AMOUNT_SEN, scripts=scripts)
    assert bought.completion is not None
    assert [result[0] for result in bought.completion.script_results] == [0x20]
    state = card.image.applications[0].state
    assert (state.blocked, state.script_count, state.balance_mirror) == (True, 3, mirror.encoded())
    assert not (await card.buy(AMOUNT_SEN)).approved


def test_send_does_what_t0_needs_and_faults_strike_and_are_traced() -> None:
    for profile in ("nsiccs-debit", "ssn"):
        answer = virtual_card(profile).send(SELECT_PSE)
        assert (answer.ok, answer.data[:1]) == (True, b"\x6f")
    for action, error in (
        ("mute", CardMuteError),
        ("torn before", CardRemovedError),
    ):
        card = virtual_card(faults=f'[[fault]]\naction = "{action}"\nordinal = 2\n')
        card.send(SELECT_PSE)
        with pytest.raises(error):
            card.send(SELECT_PSE)
        assert [entry.fault for entry in card.trace.entries] == ["", "", action]
        assert card.trace.entries[0].command == "power"


def test_power_fault_of_every_kind_is_traced_and_one_that_power_has_not_is_refused() -> None:
    for action in ("mute", "torn before", "torn after", "answer", "truncate"):
        card = virtual_card(faults=f'[[fault]]\naction = "{action}"\ncommand = "POWER"\n')
        card.channel.layer.power()
        [entry] = card.trace.entries
        assert (entry.command, entry.response, entry.fault) == ("power", "no answer", action)
    with pytest.raises(FaultPlanError, match="none of POWER's"):
        virtual_card(faults='[[fault]]\naction = "status"\ncommand = "POWER"\n')


def test_card_kept_in_a_file_is_durable_after_every_write(tmp_path: Path) -> None:
    file = tmp_path / "card.json"
    card = virtual_card(file=file)
    card.send(SELECT_SSN)
    card.send("80A80000078305036003600000")
    assert CardImage.load(file).applications[0].state.atc == 1


def test_unknown_profile_and_wrong_content_are_refused() -> None:
    with pytest.raises(ProfileError, match="no card profile"):
        virtual_card("platinum")
    with pytest.raises(ProfileError, match="PIN"):
        make_image("ssn", 1, pin="12")


def test_nothing_of_the_api_prints_a_key_or_a_number() -> None:
    card = virtual_card()
    keys = [key.reveal().hex() for key in (card.image.applications[0].udk_ac,)]
    texts = [repr(card), repr(card.issuer), repr(CardIssuer.of(card.image)), card.trace.text()]
    assert not [text for text in texts if any(key in text.lower() for key in keys)]


PLUGIN_CONFTEST = 'pytest_plugins = ["lumbung.testing.plugin"]\n'
PLUGIN_TEST = """
import asyncio

def test_card_buys(virtual_card):
    card = virtual_card("ssn", seed=3)
    assert asyncio.run(card.buy(500_000)).approved

def test_card_that_is_mute_is_approved(virtual_card):
    card = virtual_card(faults='[[fault]]\\naction = "mute"\\ncommand = "SELECT"\\n')
    assert asyncio.run(card.buy(500_000, timeout_ms=10)).approved
"""


def test_plugin_gives_cards_and_shows_the_traces_of_a_failed_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(PLUGIN_CONFTEST)
    (tmp_path / "test_mine.py").write_text(PLUGIN_TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-c", "/dev/null", "."],
        capture_output=True, text=True, timeout=50, cwd=tmp_path,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "trace of <VirtualCard ssn" in done.stdout
    assert "! mute" in done.stdout


def test_virtual_card_is_what_the_package_exports() -> None:
    assert isinstance(virtual_card(), VirtualCard)


async def test_card_of_two_profiles_has_both_applications_and_sells_with_either() -> None:
    card = virtual_card("ssn", "nsiccs-debit", "emv-generic", seed=7)
    assert card.image.profile == "ssn+nsiccs-debit+emv-generic"
    labels = [item.label for item in card.image.applications]
    assert labels == ["SSN PANGAN", "GPN DEBIT", "EMV UJI"]
    used = set()
    for index, application in enumerate(card.image.applications):
        terminal = terminal_for(card.image.profile)
        only = tuple(a for a in terminal.applications if application.aid.startswith(a.aid))
        bought = await buy(
            card.channel, CardIssuer.of(card.image, index), AMOUNT_SEN,
            terminal=replace(terminal, applications=only),
        )  # fmt: skip
        assert (bought.approved, bought.is_genuine) == (True, True), bought.text
        used.add(bought.outcome.aid)
    assert used == {item.aid for item in card.image.applications}
    assert [item.state.atc for item in card.image.applications] == [1, 1, 1]
    assert (await card.buy(AMOUNT_SEN, tap=True)).outcome.aid == card.image.applications[0].aid


def test_card_with_an_application_twice_is_refused() -> None:
    with pytest.raises(ProfileError, match="twice"):
        virtual_card("ssn", "ssn")
    image = make_image("ssn", 1)
    first = image.applications[0]
    others = [
        replace(image, applications=(replace(first, aid=bytes((0xF0, *range(4), n))),))
        for n in range(16)
    ]
    assert len(together(*others).applications) == 16
    with pytest.raises(ProfileError, match="at most 16"):
        together(image, *others)
