"""A cash register for tests and for trying out: the other end of the terminal's register port."""

from protocols.clock import Clock
from terminal.block_link import BlockLink
from terminal.limits import STRAY_MESSAGES_MAX
from terminal.line import Line
from terminal.register.messages import REGISTER_END, Answer, Request, Verb, read_answer

#: A sale takes as long as people take: finding the card, typing the PIN.
ANSWER_MS = 180_000
_NUMBERS = 100


class CashRegister:
    """Asks a terminal for sales over a line."""

    def __init__(self, line: Line, clock: Clock) -> None:
        """Take the line; nothing is opened yet."""
        self._link = BlockLink(line, REGISTER_END, clock)
        self._number = 0

    async def sale(self, reference: str, amount_sen: int, *, timeout_ms: int = ANSWER_MS) -> Answer:
        """Ask for a sale; raise TimeoutError, LineDownError: then ask again with the reference."""
        return await self._exchange(Verb.SALE, reference, amount_sen, timeout_ms)

    async def ask(self, reference: str, *, timeout_ms: int = ANSWER_MS) -> Answer:
        """Ask what became of a sale; raise TimeoutError, LineDownError."""
        return await self._exchange(Verb.ASK, reference, 0, timeout_ms)

    async def _exchange(
        self, verb: Verb, reference: str, amount_sen: int, timeout_ms: int
    ) -> Answer:
        self._number = (self._number + 1) % _NUMBERS
        request = Request(self._number, verb, reference, amount_sen)
        await self._link.open()
        try:
            if not await self._link.send(request.encode()):
                raise TimeoutError
            for _ in range(STRAY_MESSAGES_MAX):
                answer = read_answer(await self._link.receive(timeout_ms=timeout_ms))
                if answer is not None and answer.number == self._number:
                    return answer
            raise TimeoutError
        finally:
            await self._link.close()
