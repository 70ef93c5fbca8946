"""PIN blocks of ISO 9564-1, formats 0 to 4: build, read, encipher, translate.

A PIN is text of 4 to 12 digits and lives as briefly as its caller lets it. Clear blocks are
`SecretBytes`, enciphered ones `PinBlock`: neither prints itself. PIN verification values (IBM
3624 offset, PVV, CVV) stand in `verification` and are offered here too.
"""

from protocols.clock import RandomBytes
from protocols.crypto import pure
from protocols.crypto.aes import AesCipher, check_not_zero
from protocols.crypto.errors import PinError
from protocols.crypto.tdes import TdesCipher, check_strength
from protocols.crypto.verification import (
    cvv,
    ibm3624_natural_pin,
    ibm3624_offset,
    ibm3624_verify,
    pvv,
)
from protocols.values import Pan, PinBlock, SecretBytes

__all__ = [
    "PinTranslator",
    "cvv",
    "decipher_pin_block",
    "encipher_pin_block",
    "ibm3624_natural_pin",
    "ibm3624_offset",
    "ibm3624_verify",
    "pin_block_decode",
    "pin_block_encode",
    "pvv",
    "translate_pin_block",
]

PIN_DIGITS_MIN = 4
PIN_DIGITS_MAX = 12

_FIELD_DIGITS = 14
_LETTERS = "ABCDEF"
#: Draws for the filler of format 3. One in 64 bytes is left out, so two draws nearly always do;
#: a source that fails this often is none.
_FILLER_ROUNDS = 16
_AES_FORMAT = 4


def pin_block_encode(
    form: int, pin: str, pan: Pan | None = None, random_bytes: RandomBytes | None = None
) -> SecretBytes:
    """Give the clear 8-byte block of format 0, 1, 2 or 3.

    Formats 0 and 3 bind the card number, formats 1 and 3 take random filler. Format 4 has no
    clear block (its two parts meet inside the cipher): use `encipher_pin_block`.
    Raises PinError. Source: ISO 9564-1:2017, 9.3.

    >>> pin_block_encode(0, "123456", Pan("9360099912344821")).reveal().hex()
    '061234cf6edcbb7d'
    >>> pin_block_encode(2, "1234").reveal().hex()
    '241234ffffffffff'
    """
    _check_pin(pin)
    head = f"{form:X}{len(pin):X}{pin}"
    if form == 0:
        return _bound_to_pan(head.ljust(16, "F"), pan)
    if form == 1:
        filler = _random(random_bytes, 7).hex()
        return SecretBytes(bytes.fromhex(head + filler[: 16 - len(head)]))
    if form == 2:
        return SecretBytes(bytes.fromhex(head.ljust(16, "F")))
    if form == 3:
        return _bound_to_pan(head + _letter_filler(random_bytes, 16 - len(head)), pan)
    raise PinError("a clear PIN block has format 0, 1, 2 or 3")


def pin_block_decode(form: int, block: SecretBytes, pan: Pan | None = None) -> str:
    """Give the PIN of a clear block of format 0, 1, 2 or 3.

    Raises PinError when control digit, length, digits or filler are not those of the format:
    the usual sign of a wrong key or a wrong card number.

    >>> block = SecretBytes(bytes.fromhex("3C1261032D8226A9"))
    >>> pin_block_decode(3, block, Pan("5555555551234567"))
    '123456789012'
    """
    content = block.reveal()
    if len(content) != 8:
        raise PinError(f"a clear PIN block is 8 bytes, not {len(content)}")
    if form in (0, 3):
        content = pure.xor(content, _pan_field(pan))
    filler = {0: "F", 1: "0123456789ABCDEF", 2: "F", 3: _LETTERS}.get(form)
    if filler is None:
        raise PinError("a clear PIN block has format 0, 1, 2 or 3")
    return _read_field(content.hex().upper(), form, filler)


def encipher_pin_block(
    key: SecretBytes,
    pin: str,
    pan: Pan,
    *,
    form: int = 0,
    random_bytes: RandomBytes | None = None,
) -> PinBlock:
    """Give the enciphered block: TDES for formats 0, 1 and 3 (8 bytes), AES for 4 (16 bytes).

    Formats 1, 3 and 4 need `random_bytes`. Raises PinError, and KeyRefusedError for a key of
    another length, a single DES key, a weak one or one of zeros.

    >>> key = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> encipher_pin_block(key, "123456", Pan("9360099912344821"))
    <PinBlock 8 bytes>
    """
    if form == _AES_FORMAT:
        return _encipher_format_4(_aes(key), pin, pan, random_bytes)
    return _encipher_tdes(_tdes(key), pin, pan, form, random_bytes)


def decipher_pin_block(key: SecretBytes, block: PinBlock, pan: Pan, *, form: int = 0) -> str:
    """Give the PIN of an enciphered block. Raises PinError, KeyRefusedError.

    >>> key = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> pan = Pan("9360099912344821")
    >>> decipher_pin_block(key, encipher_pin_block(key, "123456", pan), pan)
    '123456'
    """
    if form == _AES_FORMAT:
        return _decipher_format_4(_aes(key), block, pan)
    return _decipher_tdes(_tdes(key), block, pan, form)


class PinTranslator:
    """Turn blocks under one key and format into blocks under another, contexts kept.

    The PIN passes through as a value of this function only; a malformed block is refused, never
    re-enciphered.
    """

    __slots__ = ("_form_in", "_form_out", "_random_bytes", "_source", "_target")

    def __init__(
        self,
        key_in: SecretBytes,
        key_out: SecretBytes,
        *,
        form_in: int = 0,
        form_out: int = 0,
        random_bytes: RandomBytes | None = None,
    ) -> None:
        """Set up both ciphers; raise KeyRefusedError for a key that does not fit its format."""
        self._form_in = form_in
        self._form_out = form_out
        self._random_bytes = random_bytes
        self._source = _cipher(key_in, form_in)
        self._target = _cipher(key_out, form_out)

    def translate(self, block: PinBlock, pan: Pan) -> PinBlock:
        """Give the block under the outgoing key and format. Raises PinError."""
        source, target = self._source, self._target
        if self._form_in == 0 == self._form_out:
            assert isinstance(source, TdesCipher)
            assert isinstance(target, TdesCipher)
            done = source.context.translate_pin_block_0(
                target.context, whole_block(block), pan_digits(pan)
            )
            if done is None:
                raise PinError("the block does not hold a PIN of format 0")
            return PinBlock(done)
        if isinstance(source, AesCipher):
            clear = _decipher_format_4(source, block, pan)
        else:
            clear = _decipher_tdes(source, block, pan, self._form_in)
        if isinstance(target, AesCipher):
            return _encipher_format_4(target, clear, pan, self._random_bytes)
        return _encipher_tdes(target, clear, pan, self._form_out, self._random_bytes)


def translate_pin_block(
    key_in: SecretBytes,
    block: PinBlock,
    key_out: SecretBytes,
    pan: Pan,
    *,
    form_in: int = 0,
    form_out: int = 0,
    random_bytes: RandomBytes | None = None,
) -> PinBlock:
    """Give a block under another key and format, with keys used once. Raises PinError."""
    translator = PinTranslator(
        key_in, key_out, form_in=form_in, form_out=form_out, random_bytes=random_bytes
    )
    return translator.translate(block, pan)


def _cipher(key: SecretBytes, form: int) -> TdesCipher | AesCipher:
    return _aes(key) if form == _AES_FORMAT else _tdes(key)


def _tdes(key: SecretBytes) -> TdesCipher:
    """Give the cipher of a PIN key; raise KeyRefusedError for one that hides no PIN."""
    check_strength(key)
    return TdesCipher(key)


def _aes(key: SecretBytes) -> AesCipher:
    """Give the cipher of a PIN key; raise KeyRefusedError for one that hides no PIN."""
    check_not_zero(key)
    return AesCipher(key)


def _encipher_tdes(
    cipher: TdesCipher, pin: str, pan: Pan, form: int, random_bytes: RandomBytes | None
) -> PinBlock:
    if form == 0:
        _check_pin(pin)
        return PinBlock(cipher.context.encipher_pin_block_0(pin, pan_digits(pan)))
    if form == 2:
        raise PinError("format 2 is for the card's own interface, never enciphered with TDES here")
    return PinBlock(cipher.encipher_ecb(pin_block_encode(form, pin, pan, random_bytes).reveal()))


def _decipher_tdes(cipher: TdesCipher, block: PinBlock, pan: Pan, form: int) -> str:
    return pin_block_decode(form, SecretBytes(cipher.decipher_ecb(whole_block(block))), pan)


def _encipher_format_4(
    cipher: AesCipher, pin: str, pan: Pan, random_bytes: RandomBytes | None
) -> PinBlock:
    """Encipher the PIN field, add the PAN field, encipher again. Source: ISO 9564-1:2017, 9.4."""
    _check_pin(pin)
    field = f"4{len(pin):X}{pin}".ljust(16, "A") + _random(random_bytes, 8).hex()
    first = cipher.encipher_ecb(bytes.fromhex(field))
    return PinBlock(cipher.encipher_ecb(pure.xor(first, _pan_field_4(pan))))


def _decipher_format_4(cipher: AesCipher, block: PinBlock, pan: Pan) -> str:
    if len(block) != 16:
        raise PinError(f"a format 4 block is 16 bytes, not {len(block)}")
    first = pure.xor(cipher.decipher_ecb(block.reveal()), _pan_field_4(pan))
    return _read_field(cipher.decipher_ecb(first).hex().upper()[:16], _AES_FORMAT, "A")


def _read_field(field: str, form: int, filler: str) -> str:
    """Give the PIN of 16 hex digits, or raise PinError without repeating any of them."""
    length = int(field[1], 16)
    if field[0] != str(form):
        raise PinError(f"the control digit is not that of format {form}")
    if not PIN_DIGITS_MIN <= length <= PIN_DIGITS_MAX:
        raise PinError("the PIN length is not 4 to 12")
    pin = field[2 : 2 + length]
    if not pin.isdecimal():
        raise PinError("the PIN holds something else than digits")
    if field[2 + length :].strip(filler):
        raise PinError("the filler is not that of the format")
    return pin


def _check_pin(pin: str) -> None:
    if not (PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX and pin.isascii() and pin.isdecimal()):
        raise PinError("a PIN is 4 to 12 digits")


def whole_block(block: PinBlock) -> bytes:
    """Give the 8 bytes of a block of formats 0 to 3. Raises PinError for another size."""
    if len(block) != 8:
        raise PinError(f"a block of formats 0 to 3 is 8 bytes, not {len(block)}")
    return block.reveal()


def pan_digits(pan: Pan) -> str:
    """Give the 12 rightmost digits but the check digit, zeros in front of a short number."""
    return pan.reveal()[-13:-1].rjust(12, "0")


def _pan_field(pan: Pan | None) -> bytes:
    if pan is None:
        raise PinError("formats 0 and 3 bind a card number")
    return bytes.fromhex("0000" + pan_digits(pan))


def _pan_field_4(pan: Pan) -> bytes:
    """Give length beyond 12, digits, zeros. Source: ISO 9564-1:2017, 9.4.2.2."""
    digits = pan.reveal().rjust(12, "0")
    return bytes.fromhex(f"{len(digits) - 12:X}{digits}".ljust(32, "0"))


def _bound_to_pan(field: str, pan: Pan | None) -> SecretBytes:
    return SecretBytes(pure.xor(bytes.fromhex(field), _pan_field(pan)))


def _random(random_bytes: RandomBytes | None, count: int) -> bytes:
    if random_bytes is None:
        raise PinError("this format needs random bytes")
    given = random_bytes(count)
    assert len(given) >= count, "the source of random bytes gives fewer than asked"
    return given


def _letter_filler(random_bytes: RandomBytes | None, count: int) -> str:
    """Give evenly spread letters A to F: bytes from 252 up would favour some and are left out."""
    letters = ""
    for _ in range(_FILLER_ROUNDS):
        letters += "".join(_LETTERS[b % 6] for b in _random(random_bytes, count) if b < 252)
        if len(letters) >= count:
            return letters[:count]
    raise PinError("the source of random bytes gives the same large ones only")
