"""Random lives of cards, each torn at every one of its writes, and what the next life finds."""

import asyncio
import datetime
import random
from dataclasses import replace

import pytest

from cardsim import CardImage
from lumbung.testing import VirtualCard, issuer_script, terminal_for, virtual_card
from protocols.business_time import WITA
from protocols.emv.balance_mirror import BalanceMirror
from protocols.emv.commands import ScriptCommand
from terminal.kernel import KernelOutcome

pytestmark = pytest.mark.slow

SEED = 20260105
LIVES = 12
PURCHASES = 3
PIN, NEW_PIN = "123456", "87654321"
NOW = datetime.datetime(2026, 1, 5, 9, 14, 7, tzinfo=WITA)


async def live(card: VirtualCard, random_source: random.Random, seen: list[int]) -> None:
    """Buy a few times, as chance says; note every counter that left the card."""
    profile = card.image.profile
    online = terminal_for(profile)
    # Below a floor limit and without the bits that send everything online: offline approvals.
    offline = replace(online, floor_limit_sen=10**9, tac_online=bytes(5), tac_default=bytes(5))
    for _ in range(PURCHASES):
        arc = random_source.choice(("00", "00", "51", None))
        tap = profile == "ssn" and random_source.random() < 0.2
        terminal = offline if random_source.random() < 0.4 else online
        chosen = random_source.sample(range(5), k=random_source.randrange(4))

        def scripts(outcome: KernelOutcome, chosen: list[int] = chosen) -> list[tuple[str, bytes]]:
            writer = card.issuer.scripts(outcome.de55["9F26"])
            record = card.image.applications[0].records[1, 1]
            made = [
                lambda: writer.unblock_pin(),
                lambda: writer.new_pin(NEW_PIN),
                lambda: writer.put_balance(BalanceMirror(12_300, NOW)),
                lambda: writer.command(ScriptCommand.UPDATE_RECORD, 1, 1 << 3 | 4, record),
                lambda: writer.block_application(),
            ]
            return [("72", issuer_script([made[number]() for number in chosen]))]

        pin = random_source.choice((PIN, "999999"))
        bought = await card.buy(
            500_000, arc=arc, tap=tap, terminal=terminal, scripts=scripts, pin=pin, timeout_ms=50
        )
        if "9F36" in bought.outcome.de55:
            seen.append(int.from_bytes(bought.outcome.de55["9F36"], "big"))
        if not card.channel.inserted:
            return


def fresh(profile: str) -> VirtualCard:
    return virtual_card(profile, seed=7, pin=PIN)


def torn_life(profile: str, seed: str, writes: int | None) -> tuple[list[str], list[int]]:
    """Live until the tear after so many writes; give what was durable, and counters shown."""
    card = fresh(profile)
    durable = [card.image.to_json()]
    card.card.writer.on_write = lambda _field: durable.append(card.image.to_json())
    card.card.writer.tear_after(writes)
    seen: list[int] = []
    asyncio.run(live(card, random.Random(seed), seen))
    return durable, seen


@pytest.mark.parametrize("profile", ["ssn", "nsiccs-debit", "emv-generic"])
def test_card_torn_at_any_write_of_any_life_goes_on_or_is_refused_as_emv_says(
    profile: str,
) -> None:
    cuts = 0
    for number in range(LIVES):
        seed = f"{SEED}/{profile}/{number}"
        whole, _ = torn_life(profile, seed, None)
        for writes in range(1, len(whole)):
            durable, seen = torn_life(profile, seed, writes)
            assert durable == whole[: writes + 1], f"{seed} write {writes}: another life"
            assert len(seen) == len(set(seen)), f"{seed} write {writes}: a counter twice"
            check_next(CardImage.from_json(durable[-1]), seen, f"{seed} write {writes}")
            cuts += 1
    assert cuts > 10 * LIVES


def check_next(image: CardImage, seen: list[int], where: str) -> None:
    """Buy with the card that came back: approved, or refused because it is blocked."""
    state = image.applications[0].state
    assert state.pin in (PIN, NEW_PIN), where
    blocked, counter = state.blocked, state.atc
    assert counter >= max(seen, default=0), where
    card = VirtualCard(image, seed=8)
    bought = asyncio.run(card.buy(500_000, pin=state.pin))
    if blocked:
        assert bought.text == "not accepted (application-blocked)", f"{where}: {bought.text}"
        return
    assert bought.approved, f"{where}: {bought.text}"
    assert int.from_bytes(bought.outcome.de55["9F36"], "big") == counter + 1, where
