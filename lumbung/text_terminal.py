"""The terminal in a text window: keypad, display, slip and state of the line. Works over ssh.

Curses draws, the event loop reads the keys. Several terminals share the window: Tab shows the next
one. Ctrl-C cancels what can be cancelled and leaves from the menu; while money may be on its way it
only says so.
"""

import asyncio
import contextlib
import curses
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable

from lumbung.faces import CardOf
from protocols.catalogue import text
from terminal.attended import AttendedTerminal, Face, Presented, choice_of
from terminal.purchase.flow import OperatorFlow
from terminal.purchase.table import FlowEvent, FlowState
from terminal.results import SaleResult
from terminal.screen import View, screen_lines

_ENTER, _BACKSPACE, _ESCAPE, _TAB, _CTRL_C = (10, 13), (8, 127, curses.KEY_BACKSPACE), 27, 9, 3
#: Characters of one typed line.
_TYPED_MAX = 40
#: How often a terminal at its menu looks after what waits for the bank and for its cut-off.
_TEND_EVERY_SECONDS = 60
#: Keys that may be typed before they are asked for.
_TYPED_AHEAD_MAX = 64

#: Sees each result, and None now and then; gives what the window tells beside, empty for nothing.
OnResult = Callable[[AttendedTerminal, SaleResult | None], Awaitable[str]]


class WindowFace(Face):
    """One terminal in the window: a line is typed, Enter gives it, Escape cancels."""

    def __init__(self, terminal: AttendedTerminal, card_of: CardOf, redraw: Callable[[], None]):
        """Take the terminal, who gives cards, and how the window is drawn anew."""
        self.terminal = terminal
        self.view = View(lang=terminal.config.lang)
        self._card_of = card_of
        self._redraw = redraw
        self._answer: asyncio.Future[str | None] | None = None
        self._ahead: deque[int] = deque(maxlen=_TYPED_AHEAD_MAX)

    def show(self, flow: OperatorFlow) -> None:
        """Draw what the screen says now."""
        self._redraw()

    async def ask(self, flow: OperatorFlow, *, secret: bool = False) -> str | None:
        """Wait for a typed line."""
        view = self.view
        view.typed, view.secret = "", secret
        self._answer = asyncio.get_running_loop().create_future()
        self._redraw()
        while self._ahead and not self._answer.done():
            self.key(self._ahead.popleft())
        try:
            return await self._answer
        finally:
            self._answer = None
            view.typed, view.secret = "", False
            self._redraw()

    async def card(self, flow: OperatorFlow) -> Presented | None:
        """Wait for a card's number until there is such a card."""
        self.view.asks_card = True
        try:
            while (typed := await self.ask(flow)) is not None:
                card = await self._card_of(typed)
                if card is not None:
                    return card
                flow.refused = None
            return None
        finally:
            self.view.asks_card = False

    @property
    def can_leave(self) -> bool:
        """Tell whether the window may be closed: the terminal is at its menu."""
        return self.terminal.flow.state in (FlowState.MENU, FlowState.OFF_DUTY)

    def key(self, code: int) -> None:
        """Take one key; typed ahead, it waits for its question unless money is on its way."""
        view = self.view
        if self._answer is None or self._answer.done():
            if self.terminal.flow.can_cancel:
                self._ahead.append(code)
                return
            view.notice = text("menu.not_now", view.lang)
        elif code in _ENTER:
            view.notice = ""
            self._answer.set_result(view.typed)
        elif code in (_ESCAPE, _CTRL_C):
            view.notice = ""
            self._answer.set_result(None)
        elif code in _BACKSPACE:
            view.typed = view.typed[:-1]
        elif code == curses.KEY_UP:
            view.scroll = max(0, view.scroll - 1)
        elif code == curses.KEY_DOWN:
            view.scroll += 1
        elif 32 <= code < 127 and len(view.typed) < _TYPED_MAX:
            view.typed += chr(code)
        self._redraw()

    async def work(self, on_result: OnResult) -> None:
        """Serve one menu choice after the other, for ever."""
        while True:
            typed = await self.ask(self.terminal.flow)
            self.view.scroll = 0
            if self.view.result is not None:
                self.view.result = None
                continue
            event = choice_of(typed.strip()) if typed is not None else None
            if event is None:
                self.view.notice = text("refused.choice", self.view.lang)
                continue
            if event is not FlowEvent.LOG_ON and self.terminal.flow.state is FlowState.OFF_DUTY:
                self.view.notice = text("flow.signed_off", self.view.lang)
                continue
            self.view.result = await self.terminal.serve(event, self)
            ended = self.tell_ended()
            if self.view.result is not None:
                self._redraw()
                trouble = await on_result(self.terminal, self.view.result)
                self.view.notice = " ".join(one for one in (trouble, ended) if one)

    def tell_ended(self) -> str:
        """Put what was uncertain and has ended into the notice, and give it."""
        ended = " ".join(result.detail for result in self.terminal.came_to_end())
        self.view.notice = ended or self.view.notice
        return ended


async def _tend(face: WindowFace, on_result: OnResult) -> None:
    """Deliver, settle and print by itself, for ever, whenever the terminal stands at its menu."""
    while True:
        await asyncio.sleep(_TEND_EVERY_SECONDS)
        await face.terminal.tend()
        face.tell_ended()
        face.view.notice = await on_result(face.terminal, None) or face.view.notice
        face.show(face.terminal.flow)


class Window:
    """The window and the faces in it; one is shown."""

    def __init__(self) -> None:
        """Begin with no terminal."""
        self.faces: list[WindowFace] = []
        self._shown = 0
        self._screen: curses.window | None = None
        self._closed: asyncio.Event | None = None

    def add(self, terminal: AttendedTerminal, card_of: CardOf) -> None:
        """Put a terminal into the window."""
        self.faces.append(WindowFace(terminal, card_of, self.draw))

    def draw(self) -> None:
        """Draw the terminal that is shown."""
        if self._screen is None:
            return
        face = self.faces[self._shown]
        rows, columns = self._screen.getmaxyx()
        self._screen.erase()
        lines = screen_lines(face.terminal, face.view, columns - 1, rows)
        for row, line in enumerate(lines):
            with contextlib.suppress(curses.error):  # the window shrank since it was measured
                self._screen.addnstr(row, 0, line, columns - 1)
        self._screen.refresh()

    async def run(self, on_result: OnResult) -> None:
        """Show the window until the operator leaves; the screen is given back whatever happens."""
        self._closed = asyncio.Event()
        os.environ.setdefault("ESCDELAY", "25")
        self._screen = curses.initscr()
        loop = asyncio.get_running_loop()
        workers = [asyncio.create_task(face.work(on_result)) for face in self.faces]
        workers += [asyncio.create_task(_tend(face, on_result)) for face in self.faces]
        leaving = asyncio.create_task(self._closed.wait())
        try:
            curses.noecho()
            curses.raw()
            self._screen.keypad(True)
            self._screen.nodelay(True)
            loop.add_reader(sys.stdin.fileno(), self._on_keys)
            loop.add_signal_handler(signal.SIGWINCH, self._on_resize)
            self.draw()
            done, _ = await asyncio.wait({leaving, *workers}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(sys.stdin.fileno())
            loop.remove_signal_handler(signal.SIGWINCH)
            self._screen = None
            curses.noraw()
            curses.echo()
            curses.endwin()
            for task in (leaving, *workers):
                task.cancel()
            await asyncio.gather(leaving, *workers, return_exceptions=True)
        for task in done:
            task.result()

    def _on_keys(self) -> None:
        assert self._screen is not None, "keys are read while the window stands"
        assert self._closed is not None, "and after it began"
        while (code := self._screen.getch()) != -1:
            face = self.faces[self._shown]
            if code == _TAB:
                self._shown = (self._shown + 1) % len(self.faces)
                self.draw()
            elif code == curses.KEY_RESIZE:
                self.draw()
            elif code == _CTRL_C and all(one.can_leave for one in self.faces):
                self._closed.set()
            else:
                face.key(code)

    def _on_resize(self) -> None:
        size = os.get_terminal_size(sys.stdin.fileno())
        curses.resizeterm(size.lines, size.columns)
        self.draw()
