"""What a text screen of any size shows of a terminal: pure lines, no input and no output.

Top: whose terminal it is and how the line is. Middle: what the flow says, big and first; the menu,
the goods, or the last slip. Bottom: what is being typed, and which keys do what.
"""

import textwrap
from dataclasses import dataclass

from protocols.catalogue import text
from terminal.attended import AttendedTerminal, item_lines, menu_lines
from terminal.purchase.table import FlowState
from terminal.results import SaleResult

#: Below this nothing can be read: one sentence says so.
COLUMNS_MIN, ROWS_MIN = 24, 8
_QUESTIONS = (FlowState.CONFIRM, FlowState.SETTLE, FlowState.REPEAT, FlowState.VOUCHER)


@dataclass(slots=True)
class View:
    """What a face knows beside the terminal: what is typed, and the last result."""

    typed: str = ""
    secret: bool = False
    asks_card: bool = False
    result: SaleResult | None = None
    notice: str = ""
    scroll: int = 0
    lang: str = "id"


def screen_lines(terminal: AttendedTerminal, view: View, columns: int, rows: int) -> list[str]:
    """Give at most `rows` lines of at most `columns` characters."""
    if columns < COLUMNS_MIN or rows < ROWS_MIN:
        return [line[:columns] for line in textwrap.wrap(text("menu.small", view.lang), columns)][
            :rows
        ]
    head, foot = _head(terminal, view), _foot(view, columns, rows)
    said = [*textwrap.wrap(terminal.flow.screen, columns), *_hint(terminal, view, columns)]
    room = rows - len(head) - len(foot) - len(said) - 1
    body = _body(terminal, view, columns)
    hidden = max(0, len(body) - max(0, room))
    first = min(view.scroll, hidden)
    shown = body[first : first + max(0, room)]
    lines = [*head, *said, "", *shown]
    lines += [""] * (rows - len(lines) - len(foot))
    return [line[:columns] for line in [*lines[: rows - len(foot)], *foot]]


def _head(terminal: AttendedTerminal, view: View) -> list[str]:
    config, journal = terminal.config, terminal.journal
    key = {True: "menu.online", False: "menu.offline", None: "menu.unknown"}[terminal.is_online]
    shop = (journal.logged_on.shop_name if journal.logged_on else "") or config.shop_name
    state = [f"TID {config.terminal_id}", text(key, view.lang)]
    waiting = len(journal.owed()) + len(journal.queued())
    if waiting:
        state.append(text("menu.waiting", view.lang, count=str(waiting)))
    if terminal.dead_letters:
        state.append(text("menu.dead", view.lang, count=str(terminal.dead_letters)))
    lines = [shop, " | ".join(state)]
    if config.training:
        lines.insert(0, text("receipt.training", view.lang))
    return lines


def _hint(terminal: AttendedTerminal, view: View, columns: int) -> list[str]:
    state = terminal.flow.state
    if state in _QUESTIONS:
        return [text("menu.yes_no", view.lang)]
    if state is FlowState.ITEMS:
        return textwrap.wrap(text("menu.basket_how", view.lang), columns)
    if view.asks_card:
        return textwrap.wrap(text("menu.card_how", view.lang), columns)
    return []


def _body(terminal: AttendedTerminal, view: View, columns: int) -> list[str]:
    state, result = terminal.flow.state, view.result
    if state is FlowState.ITEMS:
        return item_lines(terminal.flow, view.lang)
    if state not in (FlowState.MENU, FlowState.OFF_DUTY):
        return []
    if result is not None:
        said = [result.texts.line_1, result.texts.line_2, result.detail, result.texts.next_step]
        slip = result.receipt_pembeli or result.receipt_toko
        wrapped = [line for words in said for line in textwrap.wrap(words, columns)]
        return [*wrapped, "", *slip.splitlines()]
    return menu_lines(view.lang)


def _foot(view: View, columns: int, rows: int) -> list[str]:
    """Give the notice, or the keys, in as many lines as there is room for, and what is typed.

    Of a long entry its end is shown, where the typing goes on.
    """
    typed = "*" * len(view.typed) if view.secret else view.typed
    said = textwrap.wrap(view.notice or text("menu.keys", view.lang), columns)
    return [*said[: rows // 3], f"> {typed[-(columns - 2) :]}"]
