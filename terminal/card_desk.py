"""The card's part in a sale: read it, let it sign, let it decide. What goes wrong is a value."""

from collections.abc import Mapping

from protocols.business_time import wita
from protocols.clock import RandomBytes
from protocols.values import SecretBytes
from terminal.card_channel import CardChannel, CardMuteError, CardRemovedError
from terminal.card_link import CardLink, CardLinkError
from terminal.host.events import ChipRequest
from terminal.journal.records import Kind, SaleItem
from terminal.kernel import (
    CompletionKind,
    KernelContext,
    KernelOutcome,
    OutcomeKind,
    TerminalData,
    TransactionInput,
    authorise,
    enter_offline_pin,
    finish_tap,
    prepare_transaction,
    start_tap,
)
from terminal.kernel.stop import KernelStop
from terminal.purchase.checks import Refused

#: Tag 9C is the first two digits of DE3. Source: EMV 4.4 Book 3, Annex A; edc.toml, element 3.
_TYPE_CODES = {
    Kind.PURCHASE: "00",
    Kind.REFUND: "20",
    Kind.BALANCE: "31",
    Kind.STATEMENT: "38",
    Kind.PIN_CHANGE: "72",
}
#: Kinds that need the PIN whatever the card's own list says (BI SE 17/52/DKSP; decision 13).
_ALWAYS_PIN = (Kind.PURCHASE, Kind.REFUND, Kind.PIN_CHANGE)
_ISSUER_AUTHENTICATION = "91"
_SCRIPTS = ("71", "72")
_UNUSABLE = Refused("88", "refused.card_unreadable")
_REMOVED = Refused("17", "refused.card_removed")
_FOREIGN = Refused("14", "refused.card_not_ssn")
_DECLINED = Refused("88", "refused.card_refused")
_BY_KIND = {
    OutcomeKind.NOT_ACCEPTED: _FOREIGN,
    OutcomeKind.CARD_BLOCKED: Refused("62", "refused.card_refused"),
    OutcomeKind.CARD_ERROR: _UNUSABLE,
    OutcomeKind.CARD_REMOVED: _REMOVED,
    OutcomeKind.CARD_MUTE: _UNUSABLE,
    OutcomeKind.DECLINED_OFFLINE: _DECLINED,
    OutcomeKind.APPROVED_OFFLINE: _DECLINED,
}
#: First bits of TVR byte 2: the card's end date has passed. Source: EMV 4.4 Book 3, Annex C5.
_TVR_EXPIRED = 0x40


class CardDesk:
    """One card during one operation: inserted, or tapped (one cryptogram, no second one)."""

    def __init__(
        self,
        channel: CardChannel,
        data: TerminalData,
        random_bytes: RandomBytes,
        *,
        tap: bool = False,
    ) -> None:
        """Take the slot; nothing is sent yet."""
        self._link = CardLink(channel)
        self._data = data
        self._random_bytes = random_bytes
        self._tap = tap
        self._tapped: KernelOutcome | None = None
        self._kind = Kind.PURCHASE
        self.context: KernelContext | None = None

    async def read(
        self, kind: Kind, amount_sen: int, *, utc_ns: int, sequence: int
    ) -> Refused | None:
        """Read the card up to the question for the PIN; None when it can be used."""
        self._kind = kind
        local = wita(utc_ns)
        given = TransactionInput(
            amount_sen=amount_sen,
            date=local.date(),
            time=local.time(),
            type_code=_TYPE_CODES[kind],
            unpredictable_number=self._random_bytes(4),
            transaction_sequence_counter=sequence,
        )
        try:
            await self._link.open()
            if self._tap:
                return self._take_tap(await self._link.run(start_tap(self._data, given)))
            prepared = await self._link.run(prepare_transaction(self._data, given))
        except CardRemovedError:
            return _REMOVED
        except (CardMuteError, CardLinkError):
            return _UNUSABLE
        if isinstance(prepared, KernelOutcome):
            return _refusal(prepared)
        self.context = prepared
        return None

    def _take_tap(self, outcome: KernelOutcome) -> Refused | None:
        if outcome.kind is not OutcomeKind.ONLINE:
            return _refusal(outcome)
        self._tapped, self.context = outcome, outcome.context
        return None

    @property
    def entry(self) -> str:
        """Give how the card is read, as the slip says it."""
        return "TAP" if self._tap else "CHIP"

    @property
    def needs_pin(self) -> bool:
        """Tell whether a PIN is wanted: by the card for itself or the host, or by the operation."""
        return self.needs_offline_pin or self._known.needs_online_pin or self._kind in _ALWAYS_PIN

    @property
    def needs_offline_pin(self) -> bool:
        """Tell whether the chip itself wants to check the PIN now."""
        return self._known.needs_offline_pin

    async def check_offline_pin(self, pin: SecretBytes) -> Refused | None:
        """Let the chip check the PIN; None when it is right or the chip's list goes on without it.

        `needs_offline_pin` tells afterwards whether the chip wants another try.
        """
        try:
            await self._link.run(enter_offline_pin(self._known, pin, self._random_bytes))
        except CardRemovedError:
            return _REMOVED
        except (CardMuteError, CardLinkError, KernelStop):
            return _UNUSABLE
        if not self.needs_offline_pin:
            return None
        tries = self._known.pin_tries_left
        if tries is None:
            return Refused("55", "refused.pin_offline_again")
        return Refused("55", "refused.pin_offline_wrong", {"tries": str(tries)})

    @property
    def last_four(self) -> str:
        """Give the last digits of the card, empty when it was not read."""
        return self.context.pan.last_four if self.context and self.context.pan else ""

    async def sign(
        self, amount_sen: int, pin: SecretBytes | None, items: tuple[SaleItem, ...]
    ) -> ChipRequest | Refused:
        """Ask for the first cryptogram; give the request for the host."""
        outcome = self._tapped
        try:
            if outcome is None:
                outcome = await self._link.run(authorise(self._known))
        except CardRemovedError:
            return _REMOVED
        except (CardMuteError, CardLinkError):
            return _UNUSABLE
        if outcome.kind is not OutcomeKind.ONLINE:
            return _refusal(outcome)
        assert outcome.pan is not None, "the kernel goes online with a card number only"
        assert outcome.track2 is not None, "and with track 2"
        return ChipRequest(
            amount_sen=amount_sen,
            pan=outcome.pan,
            track2=outcome.track2,
            psn=outcome.pan_sequence,
            de55=dict(outcome.de55),
            pin=pin,
            items=items,
            entry=self.entry,
        )

    async def decide(self, response_code: str, issuer_data: Mapping[str, bytes]) -> bool:
        """Give the card the host's answer; True when it gives its TC. A tapped card has gone."""
        if self._tap:
            return finish_tap(self._known, response_code).kind is CompletionKind.APPROVED
        scripts = [(tag, issuer_data[tag]) for tag in _SCRIPTS if tag in issuer_data]
        outcome = await self._link.complete(
            self._known, response_code, issuer_data.get(_ISSUER_AUTHENTICATION), scripts
        )
        return outcome.kind is CompletionKind.APPROVED

    async def end_without_host(self) -> None:
        """Tell the card that no answer came; whatever it says, nothing is sold."""
        if not self._tap:
            await self._link.complete_without_host(self._known)

    async def release(self) -> None:
        """Power the card down."""
        await self._link.close()

    @property
    def _known(self) -> KernelContext:
        assert self.context is not None, "the card has been read"
        return self.context


def _refusal(outcome: KernelOutcome) -> Refused:
    if outcome.tvr[1] & _TVR_EXPIRED:
        return Refused("54", "refused.card_refused")
    return _BY_KIND[outcome.kind]
