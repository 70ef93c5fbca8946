"""The issuer's side of one card: it checks cryptograms, answers them, and writes scripts.

Works with the card's own master keys, which a virtual card's image holds. Source: EMV 4.4 Book 2,
8 and 9; reference/emv.md 4.3.
"""

from collections.abc import Iterable, Mapping

from cardsim import CardImage
from protocols.crypto.cryptogram import application_cryptogram, arpc_method1, arqc_data_nsiccs
from protocols.crypto.emv_keys import common_session_key
from protocols.crypto.mac import same_mac
from protocols.crypto.scripts import encipher_bound_pin, encipher_script_pin, script_mac
from protocols.emv import tlv
from protocols.emv.apdu import CommandApdu
from protocols.emv.balance_mirror import TAG_DF71_BALANCE_MIRROR, BalanceMirror
from protocols.emv.commands import ScriptCommand, script_command, script_header
from protocols.values import SecretBytes

#: Identifier of a script whose maker gives none. EMV 4.4 Book 3, Annex A (9F18).
_NO_IDENTIFIER = bytes(4)
_CHANGE_BOUND_PIN, _CHANGE_PIN = 0x01, 0x02


class CardIssuer:
    """The issuer of one application of one card. Prints no key."""

    __slots__ = ("_udk_ac", "_udk_encipherment", "_udk_mac")

    def __init__(
        self,
        udk_ac: SecretBytes,
        udk_mac: SecretBytes | None = None,
        udk_encipherment: SecretBytes | None = None,
    ) -> None:
        """Take the card's master keys; without the last two it writes no scripts."""
        self._udk_ac = udk_ac
        self._udk_mac, self._udk_encipherment = udk_mac, udk_encipherment

    @classmethod
    def of(cls, image: CardImage, application: int = 0) -> "CardIssuer":
        """Give the issuer of a virtual card's application, by its place on the card."""
        item = image.applications[application]
        return cls(item.udk_ac, item.udk_mac, item.udk_encipherment)

    def cryptogram(self, data: Mapping[str, bytes]) -> bytes:
        """Give the cryptogram that the card must have made over DE55's values (hex tags)."""
        key = common_session_key(self._udk_ac, data["9F36"])
        return application_cryptogram(key, arqc_data_nsiccs(data))

    def is_genuine(self, data: Mapping[str, bytes]) -> bool:
        """Tell whether DE55's 9F26 is this card's over the other values."""
        return same_mac(self.cryptogram(data), data["9F26"])

    def answer(self, data: Mapping[str, bytes], arc: str = "00") -> bytes:
        """Give tag 91: the ARPC of DE55's cryptogram for a response code, and the code."""
        code = arc.encode("ascii")
        key = common_session_key(self._udk_ac, data["9F36"])
        return arpc_method1(key, data["9F26"], code) + code

    def scripts(self, first_cryptogram: bytes) -> "ScriptWriter":
        """Give what writes scripts into the transaction of this first cryptogram."""
        assert self._udk_mac is not None, "a card without script keys takes no scripts"
        return ScriptWriter(
            self._udk_mac, self._udk_encipherment, first_cryptogram, udk_ac=self._udk_ac
        )


class ScriptWriter:
    """Script commands of one transaction, each under the MAC chained to the one before."""

    __slots__ = ("_chain", "_encipherment", "_first", "_key", "_udk_ac")

    def __init__(
        self,
        udk_mac: SecretBytes,
        udk_encipherment: SecretBytes | None,
        first_cryptogram: bytes,
        *,
        udk_ac: SecretBytes | None = None,
    ) -> None:
        """Derive the session key; the chain begins with the first cryptogram.

        Without `udk_encipherment` it writes no PIN, without `udk_ac` none bound to another.
        """
        self._udk_ac = udk_ac
        self._key = common_session_key(udk_mac, first_cryptogram)
        self._encipherment = udk_encipherment
        self._first = self._chain = first_cryptogram

    def command(
        self, kind: ScriptCommand, p1: int = 0, p2: int = 0, data: bytes = b"", mac_bytes: int = 8
    ) -> CommandApdu:
        """Give any script command with its MAC of 4 to 8 bytes."""
        header = script_header(kind, p1, p2, len(data) + mac_bytes)
        mac = script_mac(self._key, self._chain + header + data)
        self._chain = mac
        return script_command(kind, p1, p2, data, mac[:mac_bytes])

    def block_application(self) -> CommandApdu:
        """Give APPLICATION BLOCK."""
        return self.command(ScriptCommand.APPLICATION_BLOCK)

    def unblock_application(self) -> CommandApdu:
        """Give APPLICATION UNBLOCK."""
        return self.command(ScriptCommand.APPLICATION_UNBLOCK)

    def block_card(self) -> CommandApdu:
        """Give CARD BLOCK: for good."""
        return self.command(ScriptCommand.CARD_BLOCK)

    def unblock_pin(self) -> CommandApdu:
        """Give PIN CHANGE/UNBLOCK that restores the tries."""
        return self.command(ScriptCommand.PIN_CHANGE_UNBLOCK)

    def new_pin(self, pin: str) -> CommandApdu:
        """Give PIN CHANGE/UNBLOCK with a new PIN of 4 to 12 digits, enciphered."""
        data = encipher_script_pin(self._pin_key(), pin)
        return self.command(ScriptCommand.PIN_CHANGE_UNBLOCK, 0, _CHANGE_PIN, data)

    def change_pin(self, pin: str, current: str) -> CommandApdu:
        """Give PIN CHANGE/UNBLOCK whose new PIN is bound to the current one (P2 01)."""
        assert self._udk_ac is not None, "a bound PIN needs the card's key for cryptograms"
        data = encipher_bound_pin(self._pin_key(), self._udk_ac, pin, current)
        return self.command(ScriptCommand.PIN_CHANGE_UNBLOCK, 0, _CHANGE_BOUND_PIN, data)

    def _pin_key(self) -> SecretBytes:
        assert self._encipherment is not None, "a card without this key takes no PIN"
        return common_session_key(self._encipherment, self._first)

    def put_balance(self, mirror: BalanceMirror) -> CommandApdu:
        """Give PUT DATA of the balance mirror."""
        p1, p2 = bytes.fromhex(TAG_DF71_BALANCE_MIRROR)
        return self.command(ScriptCommand.PUT_DATA, p1, p2, mirror.encoded())


def issuer_script(commands: Iterable[CommandApdu], identifier: bytes = _NO_IDENTIFIER) -> bytes:
    """Give the value of a script template (71 or 72) of these commands.

    Source: EMV 4.4 Book 3, 10.10 and Annex A (9F18, 86).
    """
    objects = [("86", command.encoded_t0()) for command in commands]
    return tlv.build([("9F18", identifier), *objects])
