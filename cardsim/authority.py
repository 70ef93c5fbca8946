"""The test authority: a certification authority, an issuer and a pool of card keys, as data.

Published keys (`authority_keys.toml`) for cards that exist in tests only: no real card, no real
terminal knows them. Cards share the pool's keys, so that a thousand of them cost seconds of no
key generation. Source: EMV 4.4 Book 2, 5 and 6; reference/emv.md 6.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

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
    """The keys of `authority_keys.toml`: CA, issuer, and the cards' pool."""

    index: int
    ca: RsaPrivateKey
    issuer: RsaPrivateKey
    card_keys: tuple[RsaPrivateKey, ...]

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
        return _certificate(identifier, _EXPIRED if expired else _GOOD_UNTIL)


@cache
def published_authority() -> Authority:
    """Give the published authority.

    >>> authority = published_authority()
    >>> len(authority.ca.public), len(authority.issuer.public), len(authority.card_keys)
    (176, 144, 8)
    """
    text = files("cardsim").joinpath("authority_keys.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return Authority(
        table["ca"]["index"],
        _key(table["ca"]),
        _key(table["issuer"]),
        tuple(_key(entry) for entry in table["card"]),
    )


@cache
def _certificate(identifier: str, expiry_mmyy: str) -> CertificateData:
    authority = published_authority()
    issuer = authority.issuer.public
    return make_issuer_certificate(authority.ca, issuer, identifier, expiry_mmyy, _SERIAL)


def _key(entry: dict[str, str]) -> RsaPrivateKey:
    return private_key(int(entry["prime_p"], 16), int(entry["prime_q"], 16))


#: Key lengths in bits: CA, issuer, and each card of the pool. Throwaway cards: design decision 16.
_CA_BITS, _ISSUER_BITS, _CARD_BITS, _POOL = 1408, 1152, 1024, 8
_HEAD = """\
# Published test keys: a certification authority, an issuer, and a pool of card keys that virtual
# cards share. They protect nothing and sign nothing real. Written by
# `cardsim.authority.keys_text` from seeded random bytes; a test makes them anew.
# Exponent 3 everywhere. Source: EMV 4.4 Book 2, 11 (keys); reference/emv.md 6 (key pool).
"""


def keys_text(random_bytes: RandomBytes) -> str:
    """Give the text of `authority_keys.toml` for these random bytes."""
    lines = [_HEAD]
    names = [("[ca]\nindex = 0xE1", _CA_BITS), ("[issuer]", _ISSUER_BITS)]
    names += [("[[card]]", _CARD_BITS)] * _POOL
    for name, bits in names:
        key = generate_key(bits, random_bytes)
        lines.append(f'{name}\nprime_p = "{key.prime_p:x}"\nprime_q = "{key.prime_q:x}"\n')
    return "\n".join(lines)
