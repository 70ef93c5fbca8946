"""The operator flows walked: every event in every state, baskets, screens in both languages."""

from collections import deque

import pytest

from protocols.catalogue import LANGUAGES, keys, template
from terminal.journal.records import Kind, SaleItem
from terminal.limits import AMOUNT_MAX_SEN, BASKET_ITEMS_MAX, ITEM_NAME_MAX, ITEM_QUANTITY_MAX
from terminal.purchase.basket import check_basket, choose, items
from terminal.purchase.checks import Refused, check_amount, check_pin
from terminal.purchase.flow import OperatorFlow
from terminal.purchase.table import (
    FLOW,
    MONEY_IN_FLIGHT,
    OPERATOR_KEYS,
    Effect,
    FlowEvent,
    FlowState,
    means_something,
)
from terminal.wording import word
from tests.test_protocols.test_refusals import BLAME


def reachable(start: FlowState) -> set[FlowState]:
    found, waiting = {start}, deque([start])
    while waiting:
        for following, _ in FLOW[waiting.popleft()].values():
            if following not in found:
                found.add(following)
                waiting.append(following)
    return found


def test_every_event_is_decided_in_every_state() -> None:
    assert FLOW.keys() == set(FlowState)
    for state in FlowState:
        assert FLOW[state].keys() == set(FlowEvent)
        for event in FlowEvent:
            if not means_something(state, event):
                assert FLOW[state][event] == (state, None)


def test_every_state_is_reached_and_leads_back_to_the_menu() -> None:
    assert reachable(FlowState.OFF_DUTY) == set(FlowState)
    for state in FlowState:
        assert FlowState.MENU in reachable(state)


def test_every_event_and_effect_means_something_somewhere() -> None:
    for event in FlowEvent:
        assert any(means_something(state, event) for state in FlowState), event
    effects = {effect for row in FLOW.values() for _, effect in row.values()}
    assert effects >= set(Effect)


@pytest.mark.parametrize("state", sorted(MONEY_IN_FLIGHT, key=lambda state: state.name))
@pytest.mark.parametrize("key", sorted(OPERATOR_KEYS, key=lambda event: event.name))
def test_no_key_of_the_operator_leads_out_while_money_is_on_its_way(
    state: FlowState, key: FlowEvent
) -> None:
    assert FLOW[state][key] == (state, None)


@pytest.mark.parametrize("state", FlowState)
def test_cancel_leads_out_wherever_people_are_asked(state: FlowState) -> None:
    asked = {
        *(FlowState.ITEMS, FlowState.AMOUNT, FlowState.CARD, FlowState.REPEAT),
        *(FlowState.PIN, FlowState.NEW_PIN, FlowState.NEW_PIN_AGAIN, FlowState.PROXY),
        *(FlowState.TRACE, FlowState.CONFIRM, FlowState.REFUND_TRACE, FlowState.REFUND_AMOUNT),
        *(FlowState.REPRINT_TRACE, FlowState.SETTLE, FlowState.COMPLAINT, FlowState.VOUCHER),
        *(FlowState.SUPERVISOR, FlowState.REDUCE_TRACE, FlowState.REDUCE_AMOUNT),
    }
    assert means_something(state, FlowEvent.CANCEL) == (state in asked)


def test_host_is_asked_only_after_amount_card_and_pin() -> None:
    """Every way into WAITING that moves money on a card passes PIN or the kernel's word."""
    ways = {
        (state, event)
        for state, row in FLOW.items()
        for event, (following, effect) in row.items()
        if effect is Effect.ASK_HOST and following is FlowState.WAITING
    }
    assert ways == {
        (FlowState.READING, FlowEvent.CARD_READ),
        (FlowState.PIN, FlowEvent.PIN_TAKEN),
        (FlowState.NEW_PIN_AGAIN, FlowEvent.PIN_TAKEN),
        (FlowState.CONFIRM, FlowEvent.CONFIRMED),
    }


def test_uncertain_results_always_pass_the_reversal() -> None:
    for state in MONEY_IN_FLIGHT:
        for event in (FlowEvent.NO_ANSWER, FlowEvent.CARD_DECLINED):
            if means_something(state, event):
                assert FLOW[state][event] == (FlowState.UNDOING, Effect.UNDO)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("state", FlowState)
def test_every_state_has_a_screen(state: FlowState, lang: str) -> None:
    assert state.value in keys(lang)
    flow = OperatorFlow(state=state, lang=lang, amount_sen=14_150_000)
    assert flow.screen
    assert "{" not in flow.screen
    assert flow.can_cancel == (state not in MONEY_IN_FLIGHT)


def test_sale_by_amount_walks_to_the_card() -> None:
    flow = OperatorFlow(state=FlowState.MENU)
    assert flow.handle(FlowEvent.PURCHASE) is None
    assert flow.enter_amount(0) is None
    assert flow.screen.startswith("Nominal harus lebih dari nol.")
    assert flow.enter_amount(14_150_000) is Effect.WAIT_CARD
    assert flow.handle(FlowEvent.CARD_INSERTED) is Effect.READ_CARD
    assert flow.handle(FlowEvent.PIN_WANTED) is Effect.ASK_PIN
    assert flow.screen == "Total Rp141.500. Pemegang kartu mengetik PIN"
    assert flow.handle(FlowEvent.PIN_TAKEN) is Effect.ASK_HOST
    assert flow.handle(FlowEvent.CANCEL) is None
    assert flow.state is FlowState.WAITING
    assert flow.handle(FlowEvent.NO_ANSWER) is Effect.UNDO
    assert flow.screen == "Belum ada jawaban. JANGAN GESEK ULANG"


def test_basket_takes_food_and_refuses_the_rest_with_the_reason() -> None:
    flow = OperatorFlow(state=FlowState.MENU)
    flow.handle(FlowEvent.BASKET)
    assert flow.finish_basket() is None
    assert flow.screen.startswith("Keranjang kosong")
    flow.choose_item("BERAS5KG", 1, 7_450_000)
    for code in ("ROKOK", "PULSA", "EMAS"):
        flow.choose_item(code, 1, 2_500_000)
        assert flow.refused is not None
    flow.choose_item("ROKOK", 1, 2_500_000)
    assert "ROKOK bukan bahan pangan" in flow.screen
    assert [item.code for item in flow.items] == ["BERAS5KG"]
    assert flow.finish_basket() is Effect.WAIT_CARD
    assert flow.amount_sen == 7_450_000
    flow.handle(FlowEvent.CANCEL)
    flow.handle(FlowEvent.BALANCE)
    assert (flow.kind, flow.amount_sen, flow.items) == (Kind.BALANCE, 0, ())


def test_full_basket_refuses_one_more() -> None:
    flow = OperatorFlow(state=FlowState.MENU)
    flow.handle(FlowEvent.BASKET)
    for _ in range(BASKET_ITEMS_MAX + 1):
        flow.choose_item("SAYUR", 1, 100_000)
    assert len(flow.items) == BASKET_ITEMS_MAX
    assert "paling banyak" in flow.screen


@pytest.mark.parametrize("amount_sen", [-100, 0, 50, 14_150_050, AMOUNT_MAX_SEN + 100])
def test_amounts_that_cannot_be_used(amount_sen: int) -> None:
    refused = check_amount(amount_sen)
    assert refused is not None
    assert refused.code == "13"
    assert refused.sentence("id") != refused.sentence("en")
    assert check_amount(AMOUNT_MAX_SEN) is None
    assert check_amount(100) is None


@pytest.mark.parametrize("digits", ["", "123", "12345", "1234567", "1" * 13, "12345٣", "12 456"])
def test_pins_that_cannot_be_used_are_never_repeated(digits: str) -> None:
    refused = check_pin(digits)
    assert refused is not None
    assert len(digits) < 3 or digits not in repr(refused)
    assert check_pin("000000") is None


@pytest.mark.parametrize(
    ("code", "quantity", "price_sen", "expected"),
    [
        ("BERAS5KG", 0, 100, "12"),
        ("BERAS5KG", ITEM_QUANTITY_MAX + 1, 100, "12"),
        ("BERAS5KG", 1, 0, "13"),
        ("BERAS5KG", 1, 150, "13"),
        ("ROKOK", 1, 100, "57"),
        ("EMAS", 1, 100, "12"),
    ],
)
def test_items_that_cannot_be_chosen(
    code: str, quantity: int, price_sen: int, expected: str
) -> None:
    refused = choose(code, quantity, price_sen)
    assert isinstance(refused, Refused)
    assert refused.code == expected


def test_basket_is_checked_anew_line_by_line() -> None:
    smuggled = SaleItem(code="ROKOK", name="BERAS MEDIUM 5KG", quantity=1, price_sen=100)
    refused = check_basket([smuggled], 100)
    assert refused is not None
    assert refused.code == "57"
    honest = SaleItem(code="IKAN", name="IKAN", quantity=1, price_sen=100)
    assert check_basket([honest], 100) is None
    assert check_basket([honest], 200) is not None


def test_item_list_fits_message_and_paper_and_names_its_sources() -> None:
    assert {"ROKOK", "PULSA"} <= {code for code, item in items().items() if not item.food}
    for code, item in items().items():
        assert 0 < len(code) <= 8
        assert code.isalnum()
        assert len(item.name) <= ITEM_NAME_MAX
        assert item.source


def test_flow_cut_short_goes_back_to_where_one_can_start() -> None:
    for state in FlowState:
        flow = OperatorFlow(state=state)
        flow.abandon()
        logged_on = state not in (FlowState.OFF_DUTY, FlowState.LOGGING_ON)
        assert flow.state is (FlowState.MENU if logged_on else FlowState.OFF_DUTY)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_the_terminal_says_blames_nobody(lang: str) -> None:
    spoken = ("flow.", "refused.", "slip.", "receipt.", "menu.", "complaint.")
    said = {key: template(key, lang) for key in keys(lang) if key.startswith(spoken)}
    assert [key for key, words in said.items() if BLAME.search(words)] == []


def test_every_refusal_of_the_terminal_has_words_icon_and_next_step() -> None:
    """The DE39 that the terminal gives itself stand in the table, beside its own sentences."""
    own = {"12", "13", "14", "17", "25", "54", "55", "57", "62", "68", "76", "77", "88", "90"}
    for code in own | {"91", "95", "98"}:
        for lang in LANGUAGES:
            words = word(code, lang=lang)
            assert words.line_1
            assert words.sentence
            assert words.next_step
            assert words.icon
            assert words.actor


def test_pin_change_walks_through_three_entries() -> None:
    flow = OperatorFlow(state=FlowState.MENU)
    assert flow.handle(FlowEvent.PIN_CHANGE) is Effect.WAIT_CARD
    assert flow.kind is Kind.PIN_CHANGE
    flow.handle(FlowEvent.CARD_INSERTED)
    assert flow.handle(FlowEvent.PIN_WANTED) is Effect.ASK_PIN
    assert flow.screen == "Pemegang kartu mengetik PIN"
    assert flow.handle(FlowEvent.OLD_PIN_TAKEN) is Effect.ASK_NEW_PIN
    assert flow.handle(FlowEvent.PIN_TAKEN) is Effect.ASK_NEW_PIN_AGAIN
    assert flow.handle(FlowEvent.PIN_DIFFERS) is Effect.ASK_NEW_PIN
    assert flow.handle(FlowEvent.PIN_TAKEN) is Effect.ASK_NEW_PIN_AGAIN
    assert flow.handle(FlowEvent.PIN_TAKEN) is Effect.ASK_HOST


def test_watcher_hears_every_change_of_the_screen() -> None:
    flow = OperatorFlow(state=FlowState.MENU, facts={"batch": "000001", "count": "0"})
    seen: list[str] = []
    flow.watcher = lambda: seen.append(flow.screen)
    flow.handle(FlowEvent.REFUND)
    flow.enter_trace(7, None)
    flow.enter_part(14_150_000, 5_000_000)
    assert seen[-1].startswith("Dari trace 000007 paling banyak Rp50.000")
    assert len(seen) >= 3
