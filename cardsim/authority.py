"""The test authority: a certification authority, an issuer and a pool of card keys, as data.

Published keys (`authority_keys.toml`) for cards that exist in tests only: no real card, no real
terminal knows them. Cards share the pool's keys, so that a thousand of them cost seconds of no
key generation. Source: EMV 4.4 Book 2, 5 and 6; reference/emv.md 6.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

from cardsim.weak_keys import weak_prime
from protocols.clock import RandomBytes
from protocols.crypto.certificates import CaPublicKey, CertificateData, make_issuer_certificate
from protocols.crypto.rsa import RsaPrivateKey, generate_key, private_key
from protocols.values import Pan

#: Leading digits of a card number that an issuer certificate names. EMV 4.4 Book 2, table 5.
_IDENTIFIER_DIGITS = 8
_GOOD_UNTIL, _EXPIRED = "1249", "1225"
_SERIAL = b"\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class Signer:
    """An issuer that signs cards: its key and its certificate by CA key `ca_index`.

    `card_keys` empty: static data only (SDA). With keys, cards are given one of them and sign
    dynamically (DDA, and CDA when `combined`); `static` tells whether they carry a static
    signature too. `code` is the data authentication code of 2 bytes (9F45); `card_expiry_mmyy`
    ends card certificates, "" with the card. Source: EMV 4.4 Book 2, 5 and 6.
    """

    ca_index: int
    key: RsaPrivateKey
    certificate: CertificateData
    code: bytes = b"\xda\xc0"
    card_keys: tuple[RsaPrivateKey, ...] = ()
    combined: bool = True
    static: bool = True
    card_expiry_mmyy: str = ""

    def card_key(self, pan: Pan) -> RsaPrivateKey | None:
        """Give the key of the pool that a card of this number has, always the same one."""
        if not self.card_keys:
            return None
        number = int.from_bytes(sha256(pan.reveal().encode("ascii")).digest()[:4], "big")
        return self.card_keys[number % len(self.card_keys)]


@dataclass(frozen=True, slots=True)
class Authority:
    """The keys of an authority's file: CA, issuer, the cards' pool, and a weak card key.

    `weak_key` is a card key as the faulty generators of CVE-2017-15361 (ROCA) made them: its
    modulus betrays itself modulo small primes. None where the file has none.
    """

    index: int
    ca: RsaPrivateKey
    issuer: RsaPrivateKey
    card_keys: tuple[RsaPrivateKey, ...]
    weak_key: RsaPrivateKey | None = None

    def ca_key(self, rid: bytes) -> CaPublicKey:
        """Give the public key as terminals keep it for a RID of 5 bytes."""
        return CaPublicKey(rid, self.index, self.ca.public)

    def signer(self, pan: Pan, **changes: Any) -> Signer:
        """Give the signer of cards with this number's leading digits; `changes` to its fields."""
        certificate = self.certificate(pan.reveal()[:_IDENTIFIER_DIGITS])
        fields = {"card_keys": self.card_keys, "certificate": certificate, **changes}
        return Signer(ca_index=self.index, key=self.issuer, **fields)

    def certificate(self, identifier: str, *, expired: bool = False) -> CertificateData:
        """Give the issuer's certificate for card numbers that begin so; made once and kept."""
        return _certificate(self, identifier, _EXPIRED if expired else _GOOD_UNTIL)


#: Published authorities by the name that profiles give as their signer, with their files.
PUBLISHED: Mapping[str, str] = {
    "published": "authority_keys.toml",
    "published-long": "authority_keys_long.toml",
}


@cache
def published_authority(name: str = "published") -> Authority:
    """Give a published authority by its name.

    >>> authority = published_authority()
    >>> len(authority.ca.public), len(authority.issuer.public), len(authority.card_keys)
    (176, 144, 8)
    >>> len(published_authority("published-long").card_keys[0].public)
    176
    """
    text = files("cardsim").joinpath(PUBLISHED[name]).read_text("utf-8")
    table = tomllib.loads(text)
    return Authority(
        table["ca"]["index"],
        _key(table["ca"]),
        _key(table["issuer"]),
        tuple(_key(entry) for entry in table["card"]),
        _key(table["weak"]) if "weak" in table else None,
    )


@cache
def _certificate(authority: Authority, identifier: str, expiry_mmyy: str) -> CertificateData:
    issuer = authority.issuer.public
    return make_issuer_certificate(authority.ca, issuer, identifier, expiry_mmyy, _SERIAL)


def _key(entry: dict[str, str]) -> RsaPrivateKey:
    return private_key(int(entry["prime_p"], 16), int(entry["prime_q"], 16))


class KeySizes(NamedTuple):
    """CA key index; lengths in bits: CA, issuer, each card of a pool; whether one is weak."""

    ca_index: int
    ca: int
    issuer: int
    card: int
    pool: int
    weak: bool


#: Throwaway cards have short keys; one profile has those of today's cards: design decision 16.
SIZES: Mapping[str, KeySizes] = {
    "published": KeySizes(0xE1, 1408, 1152, 1024, 8, True),
    "published-long": KeySizes(0xE2, 1984, 1664, 1408, 2, False),
}
_HEAD = """\
# Published test keys: a certification authority, an issuer, and a pool of card keys that virtual
# cards share. They protect nothing and sign nothing real. Written by
# `cardsim.authority.keys_text` from seeded random bytes; a test makes them anew.
# Exponent 3 everywhere. Source: EMV 4.4 Book 2, 11 (keys); reference/emv.md 6 (key pool).
"""


def keys_text(random_bytes: RandomBytes, name: str = "published") -> str:
    """Give the text of an authority's file for these random bytes."""
    sizes = SIZES[name]
    lines = [_HEAD]
    names = [(f"[ca]\nindex = 0x{sizes.ca_index:X}", sizes.ca), ("[issuer]", sizes.issuer)]
    names += [("[[card]]", sizes.card)] * sizes.pool
    for title, bits in names:
        key = generate_key(bits, random_bytes)
        lines.append(_entry(title, key.prime_p, key.prime_q))
    if sizes.weak:
        primes = (weak_prime(sizes.card // 2, random_bytes) for _ in range(2))
        lines.append(_entry("[weak]", *primes))
    return "\n".join(lines)


def _entry(title: str, prime_p: int, prime_q: int) -> str:
    return f'{title}\nprime_p = "{prime_p:x}"\nprime_q = "{prime_q:x}"\n'
