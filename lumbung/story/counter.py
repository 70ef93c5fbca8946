"""The counter of one e-Warong in the story: its terminal, its line, and the cards that come."""

import itertools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from cardsim.channel import InProcessChannel
from lumbung.composition import Offices
from lumbung.lines import RecordingLine
from lumbung.story.cast import Holder, insert
from programme.keystore import KeyKind
from protocols.framing import EDC_FRAMES, Framer
from protocols.ids import MessageKey, compensation_id, transfer_id
from protocols.iso8583 import Codec, load_spec
from protocols.values import SecretBytes
from terminal.attended import AttendedTerminal
from terminal.configuration import TerminalConfig
from terminal.journal.records import Kind, SaleItem
from terminal.journal.transactions import Transaction
from terminal.line import TcpLine
from terminal.pin_pad.pad import PinPad
from terminal.results import SaleResult

LINK = "edc"
TIMEOUT_MS = 4_000


def terminal_keys(parts: Offices, terminal_id: str) -> tuple[SecretBytes, SecretBytes]:
    """Give a terminal's master key and the key that protects its own files.

    The enrolment officer carries the first to the device; the second never leaves the device; the
    story keeps both in its keystore, so that it can be taken up again.
    """
    storage_key = parts.keystore.get_or_generate(f"storage/{terminal_id}", KeyKind.AES, 32)
    return parts.keystore.get(f"tmk/{terminal_id}"), storage_key


def transfer_id_of(terminal_id: str, transaction: Transaction) -> int:
    """Give the ledger id that a terminal's own journal implies for one of its sales."""
    intent = transaction.intent
    key = MessageKey(
        link=LINK,
        acquirer="",
        terminal_id=terminal_id,
        transmission_time=intent.transmission_time,
        stan=f"{intent.stan:06d}",
        rrn=intent.rrn,
        message_class=intent.mti[:2],
    )
    return transfer_id(key)


class Counter:
    """One shop's terminal on a line that may be exchanged for a worse one."""

    def __init__(
        self,
        parts: Offices,
        terminal_id: str,
        host: str,
        port: int,
        *,
        pin_pad: PinPad | None = None,
        **settings: Any,
    ) -> None:
        """Set the terminal up on its directory; what a power cut left open is taken up.

        `settings` are further ones of its `TerminalConfig`. A training terminal has a directory of
        its own.
        """
        self._settings = settings
        self._pin_pad = pin_pad
        self._purpose = "-latihan" if settings.get("training") else ""
        self._parts = parts
        self.terminal_id = terminal_id
        self.host, self.port = host, port
        self._runs = itertools.count()
        self.line: RecordingLine = self.plain_line()
        self.terminal = self._open()

    def plain_line(self) -> RecordingLine:
        """Give a line that only remembers."""
        return RecordingLine(self.tcp_line())

    def tcp_line(self) -> TcpLine:
        """Give a bare line to the switch."""
        return TcpLine(self.host, self.port, connect_timeout_ms=TIMEOUT_MS)

    async def use_line(self, line: RecordingLine) -> None:
        """Power the terminal down and up again on another line."""
        await self.terminal.close()
        self.line = line
        self.terminal = self._open()

    def _open(self) -> AttendedTerminal:
        parts = self._parts
        view = parts.registry.terminal(self.terminal_id)
        assert view is not None, "open_shops has run"
        shop = parts.registry.merchant(view.home_merchant_id)
        assert shop is not None, "a terminal's home shop is registered first"
        master_key, storage_key = terminal_keys(parts, self.terminal_id)
        config = TerminalConfig(
            terminal_id=self.terminal_id,
            merchant_id=shop.merchant_id,
            host=self.host,
            port=self.port,
            data_directory=parts.data.terminal(self.terminal_id + self._purpose),
            storage_key=storage_key,
            tmk=master_key,
            timeout_ms=TIMEOUT_MS,
            shop_name=shop.name.upper(),
            shop_place=f"KEL. {shop.village}".upper(),
            **self._settings,
        )
        stream = f"terminal/{self.terminal_id}/{next(self._runs)}"
        return AttendedTerminal(
            config,
            clock=parts.clock,
            random_bytes=parts.random_for(stream),
            line=self.line,
            pin_pad=self._pin_pad,
        )

    async def sell(
        self,
        who: Holder,
        amount_sen: int,
        *,
        pin: str = "",
        basket: Iterable[SaleItem] | None = None,
    ) -> SaleResult:
        """Sell to a card; `pin` replaces what the holder would type."""
        return await self.terminal.buy(
            amount_sen,
            self.slot(who),
            typed(pin or who.pin),
            None if basket is None else tuple(basket),
        )

    def slot(self, who: Holder) -> InProcessChannel:
        """Put the holder's card into the slot; its state is durable after every write."""
        card = insert(self._parts, who)
        return InProcessChannel(card, persist=lambda image: image.save(who.image_path))

    def last_request(self) -> bytes:
        """Give the last purchase frame this counter sent, TPDU and length included."""
        codec = Codec(load_spec(LINK))
        for frame in reversed(self.line.sent):
            payload = Framer(EDC_FRAMES).feed(frame)[0].payload
            if codec.peek(payload).mti == "0200":
                return frame
        raise AssertionError("a purchase was sent before")

    def posted_as(self, result: SaleResult) -> int:
        """Give the ledger id that a result's money moved under, 0 where none was to move."""
        if not result.stan:
            return 0
        found = self.transaction(result)
        if found.intent.kind is Kind.VOID:
            original = self.terminal.journal.transactions[found.intent.original_stan]
            return compensation_id(transfer_id_of(self.terminal_id, original), 0)
        if found.intent.kind is not Kind.PURCHASE:
            return 0
        return transfer_id_of(self.terminal_id, found)

    def transaction(self, result: SaleResult) -> Transaction:
        """Give what the terminal's journal holds of a result."""
        return self.terminal.journal.transactions[result.stan]


def typed(pin: str) -> Callable[[], Awaitable[str]]:
    """Give the PIN pad of somebody who types this."""

    async def enter() -> str:
        return pin

    return enter
