"""One whole purchase between our terminal's kernel and a card, with the card's issuer answering."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lumbung.testing.issuer import CardIssuer
from protocols.clock import RandomBytes
from protocols.values import SecretBytes
from terminal.card_channel import CardChannel, CardMuteError, CardRemovedError
from terminal.card_link import APDU_TIMEOUT_MS, CardLink, CardLinkError
from terminal.kernel import (
    CompletionKind,
    CompletionOutcome,
    KernelOutcome,
    OutcomeKind,
    TerminalData,
    TransactionInput,
    default_terminal_data,
    finish_tap,
    laboratory_terminal_data,
    reason,
    start_tap,
    start_transaction,
)

#: When test purchases happen unless they say otherwise: the story's first morning.
DAY, HOUR = datetime.date(2026, 1, 5), datetime.time(9, 14, 7)
#: What the issuer's script in a purchase is made from: the purchase's first outcome.
Scripts = Callable[[KernelOutcome], Sequence[tuple[str, bytes]]]


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a purchase came to: both halves, and whether the cryptogram was this card's.

    `completion` is None when the card or the terminal ended it without the host; `is_genuine` is
    None when the host was not asked.
    """

    outcome: KernelOutcome
    completion: CompletionOutcome | None = None
    is_genuine: bool | None = None

    @property
    def approved(self) -> bool:
        """Tell whether goods may leave the shop."""
        if self.completion is None:
            return self.outcome.kind is OutcomeKind.APPROVED_OFFLINE
        return self.completion.kind is CompletionKind.APPROVED

    @property
    def text(self) -> str:
        """Give the outcome in words: kind and reason's code of the last half."""
        last = self.completion or self.outcome
        return f"{last.kind.value} ({last.reason.code})"


def terminal_for(profile: str) -> TerminalData:
    """Give the terminal that a product is made for: the city's, or the laboratory's.

    >>> terminal_for("ssn").terminal_capabilities.hex()
    '204800'
    """
    of_the_laboratory = any(name.startswith("emv-") for name in profile.split("+"))
    make = laboratory_terminal_data if of_the_laboratory else default_terminal_data
    return make(terminal_id="12400017", merchant_id="EW0000000000017")


async def buy(
    channel: CardChannel,
    issuer: CardIssuer,
    amount_sen: int,
    *,
    terminal: TerminalData,
    arc: str | None = "00",
    scripts: Scripts | None = None,
    pin: str = "",
    tap: bool = False,
    date: datetime.date = DAY,
    time: datetime.time = HOUR,
    sequence_counter: int = 1,
    random_bytes: RandomBytes = bytes,
    timeout_ms: int = APDU_TIMEOUT_MS,
) -> Purchase:
    """Run a purchase and give what it came to; never raises for a card.

    The issuer answers a genuine cryptogram with `arc` and its ARPC; a forged one with 05 and none;
    `arc` None: the host is not reached. `scripts` makes the host's script templates. `pin` is what
    is entered when the card wants an offline PIN ("": none is entered). `random_bytes` gives the
    terminal's unpredictable number.
    """
    given = TransactionInput(amount_sen, date, time, "00", random_bytes(4), sequence_counter)
    link = CardLink(channel, timeout_ms=timeout_ms)
    try:
        outcome = await _first_half(link, terminal, given, pin, random_bytes, tap)
        if outcome.kind is not OutcomeKind.ONLINE:
            return Purchase(outcome)
        assert outcome.context is not None
        context = outcome.context
        tap = tap or link.contactless
        if arc is None:
            if tap:
                return Purchase(outcome)
            return Purchase(outcome, await link.complete_without_host(context))
        genuine = issuer.is_genuine(outcome.de55)
        if tap:
            return Purchase(outcome, finish_tap(context, arc if genuine else "05"), genuine)
        if not genuine:
            return Purchase(outcome, await link.complete(context, "05"), genuine)
        answer = issuer.answer(outcome.de55, arc)
        made = scripts(outcome) if scripts is not None else ()
        return Purchase(outcome, await link.complete(context, arc, answer, made), genuine)
    finally:
        await link.close()


async def _first_half(
    link: CardLink,
    terminal: TerminalData,
    given: TransactionInput,
    pin: str,
    random_bytes: RandomBytes,
    tap: bool,
) -> KernelOutcome:
    def entered(_tries_left: int | None) -> SecretBytes | None:
        return SecretBytes(pin.encode("ascii")) if pin else None

    try:
        await link.open()
        if tap or link.contactless:
            return await link.run(start_tap(terminal, given))
        return await link.run(start_transaction(terminal, given, entered, random_bytes))
    except CardLinkError as error:
        return KernelOutcome(kind=OutcomeKind.CARD_ERROR, reason=reason(error.reason_code))
    except CardRemovedError:
        return KernelOutcome(kind=OutcomeKind.CARD_REMOVED, reason=reason("card-removed"))
    except CardMuteError:
        return KernelOutcome(kind=OutcomeKind.CARD_MUTE, reason=reason("card-mute"))
