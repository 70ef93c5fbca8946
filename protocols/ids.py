"""Transfer ids: how a message becomes an idempotency key (design decisions 5, 6).

The id of a transfer is made from bytes that every repeat copies and every reversal carries, so
that the switch finds an original without trusting the message for account or amount. All ids are
128-bit integers, never 0 and never 2^128-1 (both are reserved by the ledger; SHA-256 will not give
them in our lifetime, and `_digest_128` states it).

Frozen: changing a byte of this file's constructions orphans every stored transfer. The vectors
are in `fixtures/vectors-ids.toml`.
"""

from hashlib import sha256
from typing import NamedTuple

_MAX_128 = (1 << 128) - 1


class MessageKey(NamedTuple):
    """The elements that name one transaction on one link, as text exactly as sent.

    `acquirer` is DE32 (DE90 carries it in a reversal); leading zeros do not count, because DE90
    pads it to 11 digits. `message_class` is the first two digits of the original's MTI, so that a
    repeat 0201 and an advice 0220 of a 0200 have its id.
    """

    link: str
    acquirer: str
    terminal_id: str
    transmission_time: str
    stan: str
    rrn: str
    message_class: str


def transfer_id(key: MessageKey) -> int:
    """Give the ledger id of the transfer that this message asks for.

    Construction: the first 16 bytes, big-endian, of SHA-256 over the ASCII bytes of
    `lumbung/transfer/1` and the seven elements, each preceded by 0x1F. Elements hold no control
    characters, so the joining is unambiguous. DE41 and DE37 lose trailing spaces.

    >>> key = MessageKey("edc", "", "12400017", "0105011407", "000345", "600509000345", "02")
    >>> f"{transfer_id(key):032x}"
    '3df597f3b1f82399ea7741e8a657f014'
    """
    normal = (
        key.link,
        key.acquirer.lstrip("0"),
        key.terminal_id.rstrip(" "),
        key.transmission_time,
        key.stan,
        key.rrn.rstrip(" "),
        key.message_class,
    )
    text = "".join(normal)
    # Printable ASCII is the rule; DEL alone is not printable and was always let through.
    if not (text.isascii() and (text.isprintable() or min(text) >= " ")):
        raise ValueError("an element of a transfer key holds a byte that no element may hold")
    return _digest_128("lumbung/transfer/1", *normal)


def compensation_id(original_id: int, ordinal: int) -> int:
    """Give the id of the `ordinal`-th (0, 1, ...) compensation of an original (decision 6).

    Whoever loses the race for an ordinal finds it taken, looks again and tries the next one.
    """
    assert 0 < original_id < _MAX_128
    assert 0 <= ordinal < 1 << 16
    return _digest_128("lumbung/compensation/1", f"{original_id:032x}", f"{ordinal:d}")


def disbursement_id(decree: str, card_account_id: int, period: str) -> int:
    """Give the id of one card's credit for one month (R14: a rerun credits nobody twice).

    `period` is `YYYY-MM`; `decree` is the decree's number as the registry keeps it.
    """
    assert 0 < card_account_id < _MAX_128
    return _digest_128("lumbung/disbursement/1", decree, f"{card_account_id:032x}", period)


def sweep_id(tranche_id: int, business_date: str) -> int:
    """Give the id of the sweep that takes back what is left of a tranche (decision 7)."""
    assert 0 < tranche_id < _MAX_128
    return _digest_128("lumbung/sweep/1", f"{tranche_id:032x}", business_date)


def fingerprint(*parts: str) -> int:
    """Give 128 bits that tell a true repeat from another message under the same key (decision 5).

    Parts: PAN, DE3, DE4, DE49, ATC, ARQC. The ARQC's 64 bits keep the PAN from trial.
    """
    return _digest_128("lumbung/fingerprint/1", *parts)


def _digest_128(domain: str, *parts: str) -> int:
    text = "\x1f".join((domain, *parts))
    value = int.from_bytes(sha256(text.encode("ascii")).digest()[:16], "big")
    assert 0 < value < _MAX_128
    return value
