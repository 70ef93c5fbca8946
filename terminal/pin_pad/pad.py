"""The terminal's side of a PIN pad: load the key, ask for a PIN, get a block or a reason."""

from typing import Protocol

from protocols.clock import Clock, RandomBytes
from protocols.crypto import tr31
from protocols.crypto.kcv import kcv
from protocols.values import Pan, PinBlock, SecretBytes
from terminal.block_link import BlockLink
from terminal.keystore import SessionKeys
from terminal.limits import PIN_DIGITS, PIN_PAD_ANSWER_MS, PIN_PAD_ENTRY_MS, STRAY_MESSAGES_MAX
from terminal.line import Line, LineDownError
from terminal.pin_pad.messages import (
    ACCOUNT_DIGITS,
    NUMBERS,
    TERMINAL_END,
    Answer,
    Code,
    Request,
    Verb,
    read_answer,
)
from terminal.purchase.checks import Refused

#: A PIN key that a pad may only encipher with. Source: ANSI X9.143:2021, 6.3 (P0, T, E).
_PIN_KEY = tr31.KeyBlockHeader("B", "P0", "T", "E")
_BLOCK_BYTES = 8
_PROMPT_MAX = 60
_LOST = Refused("17", "pin_pad.lost")
_SILENT = Refused("17", "pin_pad.silent")
_REASONS = {
    Code.CANCELLED: Refused("17", "flow.cancelled"),
    Code.TIMEOUT: Refused("17", "pin_pad.timeout"),
    Code.LENGTH: Refused("17", "refused.pin_length"),
    Code.NO_KEY: Refused("17", "pin_pad.no_key"),
    Code.BAD_KEY: Refused("17", "pin_pad.no_key"),
}
_REFUSED = Refused("17", "pin_pad.refused")


class PinPad(Protocol):
    """What a sale needs of a PIN pad."""

    async def enter_pin(self, keys: SessionKeys, pan: Pan, prompt: str) -> PinBlock | Refused:
        """Give the PIN as a block of format 0 under `keys.pin`, or why there is none."""


class SerialPinPad:
    """A PIN pad on a line. Its transport key is shared with the pad since the two were paired."""

    def __init__(
        self, line: Line, transport_key: SecretBytes, clock: Clock, random_bytes: RandomBytes
    ) -> None:
        """Take the parts; nothing is opened yet."""
        self._link = BlockLink(line, TERMINAL_END, clock)
        self._transport_key = transport_key
        self._random_bytes = random_bytes
        self._number = random_bytes(1)[0] % NUMBERS
        self._loaded = ""

    async def enter_pin(self, keys: SessionKeys, pan: Pan, prompt: str) -> PinBlock | Refused:
        """Give the PIN as a block of format 0 under `keys.pin`, or why there is none.

        A pad that lost its key (it was switched off) gets it again, once. Never raises.
        """
        try:
            await self._link.open()
            if self._loaded != keys.key_set:
                refused = await self._load(keys)
                if refused is not None:
                    return refused
            answer = await self._ask_pin(pan, prompt)
            if isinstance(answer, Answer) and answer.code is Code.NO_KEY:
                refused = await self._load(keys)
                answer = refused or await self._ask_pin(pan, prompt)
        except LineDownError:
            self._loaded = ""
            return _LOST
        finally:
            await self._link.close()
        return answer if isinstance(answer, Refused) else _block(answer)

    async def _load(self, keys: SessionKeys) -> Refused | None:
        block = tr31.wrap(self._transport_key, _PIN_KEY, keys.pin, self._random_bytes)
        answer = await self._exchange(Verb.KEY, (block,), PIN_PAD_ANSWER_MS)
        if isinstance(answer, Refused):
            return answer
        if answer.code is not Code.OK:
            return _REASONS.get(answer.code, _REFUSED)
        if answer.fields != (kcv(keys.pin),):
            return _REFUSED
        self._loaded = keys.key_set
        return None

    async def _ask_pin(self, pan: Pan, prompt: str) -> Answer | Refused:
        text = prompt.encode("ascii", "replace").decode("ascii")[:_PROMPT_MAX]
        account = pan.reveal()[-ACCOUNT_DIGITS - 1 : -1].rjust(ACCOUNT_DIGITS, "0")
        digits = str(PIN_DIGITS)
        seconds = str(PIN_PAD_ENTRY_MS // 1000)
        printable = "".join(one if one.isprintable() else " " for one in text)
        fields = (account, digits, digits, seconds, printable)
        return await self._exchange(Verb.PIN, fields, PIN_PAD_ENTRY_MS + PIN_PAD_ANSWER_MS)

    async def _exchange(
        self, verb: Verb, fields: tuple[str, ...], timeout_ms: int
    ) -> Answer | Refused:
        """Give the answer to this very request; what belongs to an earlier one is looked past."""
        self._number = (self._number + 1) % NUMBERS
        if not await self._link.send(Request(self._number, verb, fields).encode()):
            return _SILENT
        try:
            for _ in range(STRAY_MESSAGES_MAX):
                answer = read_answer(await self._link.receive(timeout_ms=timeout_ms))
                if answer is not None and (answer.number, answer.verb) == (self._number, verb):
                    return answer
        except TimeoutError:
            return _SILENT
        return _REFUSED


def _block(answer: Answer) -> PinBlock | Refused:
    if answer.code is not Code.OK:
        return _REASONS.get(answer.code, _REFUSED)
    hexadecimal = answer.fields[0] if len(answer.fields) == 1 else ""
    try:
        block = bytes.fromhex(hexadecimal)
    except ValueError:
        return _REFUSED
    return PinBlock(block) if len(block) == _BLOCK_BYTES else _REFUSED
