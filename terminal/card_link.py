"""The card link: drives kernel generators over a card channel, once for all channels.

Deadline per APDU, the rules of T=0, ATR and length checks, masked trace. Thin: whatever a card
does, `start`, `complete` and their kin give an outcome.
"""

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from protocols.emv.apdu import CommandApdu, ResponseApdu, t0_follow_up
from protocols.emv.errors import ApduError
from protocols.emv.trace import masked_command, masked_response
from protocols.errors import LumbungError
from terminal.card_channel import (
    CardChannel,
    CardMuteError,
    CardRemovedError,
    ConversingChannel,
)
from terminal.kernel import completion, tap, transaction
from terminal.kernel.atr import Atr, AtrError, is_contactless, parse_atr
from terminal.kernel.configuration import TerminalData, TransactionInput
from terminal.kernel.context import KernelContext
from terminal.kernel.outcomes import (
    CompletionKind,
    CompletionOutcome,
    KernelOutcome,
    OutcomeKind,
)
from terminal.kernel.reasons import reason

#: Longest wait for one answer: the block waiting time of BWI 4 at 372/4 MHz is 1.5 s, and cards
#: may ask for more once or twice. EMV 4.4 Book 1, 9.2.4.
APDU_TIMEOUT_MS = 3_000
#: Most TPDUs for one command on T=0: Le retry, GET RESPONSE and its own retry, with room.
T0_ROUNDS = 8

#: Longest information field in a reader's field: a frame of 256 bytes. ISO/IEC 14443-4, 5.2.3.
_CONTACTLESS_BYTES = 253

Outcome = TypeVar("Outcome")
#: What passes between card and terminal: commands out, answers in, at the end an outcome.
_Conversation = Generator[bytes, bytes, Outcome]
TraceLine = Callable[[str, str], None]


class CardLinkError(LumbungError):
    """The card breaks the rules of transmission: ATR, lengths, or an endless T=0 exchange."""

    code = "E-TM-0201"

    def __init__(self, reason_code: str, detail: str) -> None:
        """Keep the kernel reason's code and what was wrong."""
        super().__init__(f"The card cannot be read: {detail}.", fix="Try another card.")
        self.reason_code = reason_code


class CardLink:
    """One card at a time over one channel. Not for use from two tasks at once.

    `trace` is called with masked command and response texts after each exchange, in the thread
    that talks to the card.
    """

    def __init__(
        self,
        channel: CardChannel,
        *,
        timeout_ms: int = APDU_TIMEOUT_MS,
        trace: TraceLine | None = None,
    ) -> None:
        """Take the channel; nothing is sent yet."""
        self._channel = channel
        self._timeout_ms = timeout_ms
        self._trace = trace
        self._atr: Atr | None = None
        #: Whether the card that was opened last is in a contactless reader's field.
        self.contactless = False

    async def open(self) -> Atr:
        """Power the card and check its ATR, with one warm reset for a bad one.

        A card in a contactless reader's field has the ATR that PC/SC gives it: `contactless` then.
        Raises CardLinkError, CardRemovedError, CardMuteError. Source: EMV 4.4 Book 1, 8.4.
        """
        try:
            raw = await self._channel.connect()
            self.contactless = is_contactless(raw)
            self._atr = Atr(1, _CONTACTLESS_BYTES) if self.contactless else parse_atr(raw)
        except AtrError:
            try:
                self._atr = parse_atr(await self._channel.reset())
            except AtrError as error:
                await self._channel.disconnect()
                raise CardLinkError("atr-rejected", f"answer to reset: {error.reason}") from None
        return self._atr

    async def close(self) -> None:
        """Power the card down; never raises."""
        self._atr = None
        await self._channel.disconnect()

    async def exchange(self, command: CommandApdu) -> ResponseApdu:
        """Give the final answer to a command, whatever the protocol needs in between.

        Raises CardLinkError, CardRemovedError, CardMuteError.
        """
        return await self._converse(self._exchange(command))

    async def run(self, steps: Generator[CommandApdu, ResponseApdu, Outcome]) -> Outcome:
        """Drive a kernel generator to its end and give what it returns.

        Raises CardLinkError, CardRemovedError, CardMuteError; the generator is closed then.
        """
        return await self._converse(self._run(steps))

    async def _converse(self, conversation: _Conversation[Outcome]) -> Outcome:
        """Have a conversation with the card, in one piece where the channel offers that."""
        assert self._atr is not None, "the link is not open"
        channel = self._channel
        if isinstance(channel, ConversingChannel):
            return await channel.converse(conversation, timeout_ms=self._timeout_ms)
        try:
            command = next(conversation)
            while True:
                answer = await channel.transmit(command, timeout_ms=self._timeout_ms)
                command = conversation.send(answer)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        finally:
            conversation.close()

    def _run(self, steps: Generator[CommandApdu, ResponseApdu, Outcome]) -> _Conversation[Outcome]:
        try:
            command = next(steps)
            while True:
                command = steps.send((yield from self._exchange(command)))
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        finally:
            steps.close()

    def _exchange(self, command: CommandApdu) -> _Conversation[ResponseApdu]:
        assert self._atr is not None, "the link is not open"
        if self._atr.protocol == 1:
            return (yield from self._send(command.encoded()))
        answer = yield from self._send(command.encoded_t0())
        warning: ResponseApdu | None = None
        sent = command
        for _ in range(T0_ROUNDS):
            following = t0_follow_up(sent, answer)
            if following is None:
                return _with_warning(answer, warning)
            if answer.sw1 in (0x62, 0x63):
                warning = answer
            sent = following
            answer = yield from self._send(following.encoded_t0())
        raise CardLinkError("card-link", f"more than {T0_ROUNDS} answers to one command")

    def _send(self, raw: bytes) -> _Conversation[ResponseApdu]:
        answer = yield raw
        if self._trace is not None:
            self._trace(masked_command(raw), masked_response(answer, raw))
        try:
            return ResponseApdu.parse(answer)
        except ApduError:
            raise CardLinkError("card-link", f"an answer of {len(answer)} bytes") from None

    async def start(self, data: TerminalData, given: TransactionInput) -> KernelOutcome:
        """Open the card and run the first half, a tap in a field; never raises for a card."""
        try:
            await self.open()
            begin = tap.start_tap if self.contactless else transaction.start_transaction
            return await self.run(begin(data, given))
        except CardLinkError as error:
            return _failed(OutcomeKind.CARD_ERROR, error.reason_code)
        except CardRemovedError:
            return _failed(OutcomeKind.CARD_REMOVED, "card-removed")
        except CardMuteError:
            return _failed(OutcomeKind.CARD_MUTE, "card-mute")

    async def complete(
        self,
        context: KernelContext,
        arc: str,
        issuer_authentication: bytes | None = None,
        scripts: Sequence[tuple[str, bytes]] = (),
    ) -> CompletionOutcome:
        """Run the second half with the host's answer; never raises for a card.

        After a tap nothing is sent: the card has left the field.
        """
        if self.contactless:
            return tap.finish_tap(context, arc)
        steps = completion.complete_online(context, arc, issuer_authentication, scripts)
        return await self._finish(steps, context, arc, arc in completion.APPROVING)

    async def complete_without_host(self, context: KernelContext) -> CompletionOutcome:
        """Run the second half when no answer came; never raises for a card."""
        if self.contactless:
            return tap.finish_tap(context, completion.ARC_UNABLE_DECLINED)
        steps = completion.unable_to_go_online(context)
        return await self._finish(steps, context, completion.ARC_UNABLE_DECLINED, False)

    async def give_up(self, context: KernelContext) -> CompletionOutcome:
        """End the card's transaction with a decline, for want of a PIN; never raises for a card."""
        if self.contactless:
            return tap.finish_tap(context, completion.ARC_UNABLE_DECLINED)
        steps = completion.give_up(context)
        return await self._finish(steps, context, completion.ARC_UNABLE_DECLINED, False)

    async def _finish(
        self,
        steps: completion.SecondHalf,
        context: KernelContext,
        arc: str,
        approves: bool,
    ) -> CompletionOutcome:
        try:
            return await self.run(steps)
        except CardLinkError as error:
            kind, code = CompletionKind.CARD_ERROR, error.reason_code
        except CardRemovedError:
            kind, code = CompletionKind.CARD_REMOVED, "card-removed"
        except CardMuteError:
            kind, code = CompletionKind.CARD_MUTE, "card-mute"
        return CompletionOutcome(
            kind=kind,
            reason=reason(code),
            host_approved=approves,
            arc=arc,
            tvr=context.tvr.encoded(),
            tsi=context.tsi.encoded(),
        )


def _with_warning(answer: ResponseApdu, warning: ResponseApdu | None) -> ResponseApdu:
    """Give the fetched data under the warning that announced them. EMV 4.4 Book 1, Annex A."""
    if warning is None:
        return answer
    return ResponseApdu(answer.data if answer.ok else b"", warning.sw1, warning.sw2)


def _failed(kind: OutcomeKind, code: str) -> KernelOutcome:
    return KernelOutcome(kind=kind, reason=reason(code))
