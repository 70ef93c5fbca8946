"""The switch over the programme's own registry: what an office does is in force, first use too."""

import asyncio

import pytest

from programme.accounts import open_purse
from programme.actors import Actor, Agency
from programme.chart import Purse
from programme.errors import RegistryBusyError
from programme.registry_port import BlockReason, CardStatus
from switch.registry_keeper import first_uses
from tests.test_switch.switch_city import BANK, SHOP, TERMINAL, City, CityEdc
from tests.test_switch.switch_site import Site

DINSOS = Actor(Agency.DINSOS_PM, "staf-02")


@pytest.fixture
def city(directory):
    made = City(directory)
    made.registry.designate(SHOP, BANK)
    open_purse(made.ledger, made.registry, Purse.FOOD, BANK)
    yield made
    made.registry.close()
    made.close()


@pytest.mark.slow
def test_switch_follows_the_programmes_registry_from_message_to_message(directory):
    city = City(directory)
    edc = CityEdc(city, TERMINAL, SHOP).start()

    def buy() -> str:
        answer = edc.send(edc.purchase(city.chip, 1_000_000))[0]
        return answer.text(39) + (f" {answer.text(44)}" if 44 in answer else "")

    assert buy() == "03"
    city.registry.designate(SHOP, BANK)
    open_purse(city.ledger, city.registry, Purse.FOOD, BANK)
    assert buy() == "00"
    city.registry.block_card(city.card_number, BlockReason.LOST, DINSOS)
    assert buy() == "41 B01"
    city.registry.unblock_card(city.card_number, DINSOS)
    assert buy() == "00"
    city.registry.suspend(SHOP, DINSOS, "uji")
    assert buy() == "03"
    city.registry.close()
    city.close()


def status(city) -> CardStatus:
    return city.registry.card(city.card_number).status


def buy(edc, **changes):
    return edc.send(edc.purchase(edc.world.chip, 1_000_000, **changes))[0].text(39)


def first_used(city) -> list[dict]:
    return [fields for name, fields in city.node.core.events if name == "first-use"]


def test_first_chip_and_pin_of_a_collected_card_is_told_once_it_is_approved(city):
    edc = CityEdc(city, TERMINAL, SHOP).start()
    assert edc.send(edc.balance(city.chip))[0].text(39) == "78"
    assert buy(edc, pin="000000") == "55"
    assert edc.send(edc.purchase(city.chip, 99_000_000))[0].text(39) == "51"
    assert first_used(city) == []
    assert buy(edc) == "00"
    assert first_used(city) == [{"card_number": city.card_number, "terminal": TERMINAL}]


def test_collected_card_is_78_where_the_city_does_not_let_first_use_activate(city):
    city.set_rule("card_state", first_use_activates=False)
    edc = CityEdc(city, TERMINAL, SHOP).start()
    assert buy(edc) == "78"
    city.registry.activate_card(city.card_number, BANK)
    assert buy(edc) == "00"
    assert first_used(city) == []


async def bought_over(site, edc) -> str:
    line = await site.connect()
    await line.send(edc.encode(edc.purchase(edc.world.chip, 1_000_000)))
    return edc.decode(await line.answer()).text(39)


async def test_first_use_makes_the_card_active_with_the_terminal_as_its_actor(city):
    edc = CityEdc(city, TERMINAL, SHOP).start()
    site = await Site(city).start()
    try:
        assert await bought_over(site, edc) == "00"
        assert await bought_over(site, edc) == "00"
    finally:
        await site.stop()
    assert status(city) is CardStatus.ACTIVE
    *_, (state, _why, at_ns, agency, person) = city.registry.cards.steps(city.card_number)
    assert (state, agency, person) == (CardStatus.ACTIVE, "Switch", f"terminal {TERMINAL}")
    assert at_ns == city.clock.now_ns()
    assert len(city.registry.cards.steps(city.card_number)) == 4
    assert city.registry.trail.verify().broken_at is None


async def test_first_use_that_a_kill_left_untold_is_found_in_the_ledger_at_the_next_start(city):
    edc = CityEdc(city, TERMINAL, SHOP).start()
    assert buy(edc) == "00"
    assert status(city) is CardStatus.COLLECTED
    site = await Site(city).start()
    try:
        assert status(city) is CardStatus.ACTIVE
    finally:
        await site.stop()
    assert city.registry.cards.steps(city.card_number)[-1][4] == f"terminal {TERMINAL}"


async def test_first_use_is_told_again_when_the_registry_was_busy(city, monkeypatch):
    edc = CityEdc(city, TERMINAL, SHOP).start()
    site = await Site(city).start()
    tell, refused = city.registry.cards.first_use, asyncio.Event()
    loop = asyncio.get_running_loop()

    def refuse(_number, _actor):
        loop.call_soon_threadsafe(refused.set)
        raise RegistryBusyError("another process holds it")

    monkeypatch.setattr(city.registry.cards, "first_use", refuse)
    try:
        assert await bought_over(site, edc) == "00"
        await asyncio.wait_for(refused.wait(), 10)
        assert status(city) is CardStatus.COLLECTED
        monkeypatch.setattr(city.registry.cards, "first_use", tell)
    finally:
        await site.stop()
    assert status(city) is CardStatus.ACTIVE


def test_first_use_of_a_replacement_is_not_its_predecessors(city):
    edc = CityEdc(city, TERMINAL, SHOP).start()
    assert buy(edc) == "00"
    (found,) = first_uses(city.ledger, city.registry.collected_cards())
    assert found[0].card_number == city.card_number
    replacement = city.replace_card()
    city.registry.move_cards([replacement], CardStatus.AT_BANK, BANK)
    city.registry.move_cards([replacement], CardStatus.COLLECTED, BANK)
    assert list(first_uses(city.ledger, city.registry.collected_cards())) == []


def test_first_use_of_a_card_that_was_blocked_meanwhile_leaves_it_blocked(city):
    city.registry.block_card(city.card_number, BlockReason.LOST, DINSOS)
    assert not city.registry.note_first_use(city.card_number, TERMINAL)
    assert status(city) is CardStatus.BLOCKED
