"""Card keys that are wrong: a certificate of another card's number, a weak key. Pure.

What a card shows in place of its own records while it misbehaves so; its image stays as it is.
Source of the kinds: reference/emv.md 4.4.
"""

from collections.abc import Mapping

from cardsim import alterations
from cardsim.authority import PUBLISHED, Authority, published_authority
from cardsim.image import ApplicationImage
from protocols.crypto.certificates import make_icc_certificate
from protocols.crypto.oda import static_data
from protocols.crypto.rsa import RsaPrivateKey
from protocols.emv import tlv
from protocols.emv.afl import parse_afl
from protocols.emv.errors import EmvDataError
from protocols.values import Pan

#: The number in a foreign certificate: of the same issuer, so that nothing else is wrong.
_FOREIGN_PAN = Pan("9360099999999992")
_SERIAL = b"\x00\x00\x02"

Records = Mapping[tuple[int, int], bytes]


def authority_of(image: ApplicationImage) -> Authority | None:
    """Give the published authority under which a card is signed; None for any other."""
    objects = _objects(image)
    for name in PUBLISHED:
        authority = published_authority(name)
        if objects.get("8F") == bytes((authority.index,)):
            return authority
    return None


def weak_key(image: ApplicationImage) -> RsaPrivateKey | None:
    """Give the weak key that stands in for a card's own; None where there is none to stand in."""
    authority = authority_of(image) if image.icc_key is not None else None
    return authority.weak_key if authority is not None else None


def records_of(image: ApplicationImage, *, weak: bool, foreign: bool) -> Records:
    """Give the card's records with the certificate of a weak key, or of another card's number.

    Unaltered for a card without a key under a published authority.
    """
    authority, key = authority_of(image), weak_key(image) if weak else image.icc_key
    if authority is None or key is None:
        return image.records
    objects = _objects(image)
    pan = _FOREIGN_PAN if foreign else Pan(objects["5A"].hex().rstrip("f"))
    expiry = objects["5F24"].hex()
    made = make_icc_certificate(
        authority.issuer, key.public, pan, expiry[2:4] + expiry[:2], _SERIAL, _covered(image)
    )
    shown = dict(image.records)
    for place, record in image.records.items():
        for tag, value in (("9F46", made.certificate), ("9F48", made.remainder)):
            record = alterations.replaced(record, tag, value) or record
        shown[place] = record
    return shown


def _objects(image: ApplicationImage) -> dict[str, bytes]:
    held: dict[str, bytes] = {}
    for record in image.records.values():
        try:
            held.update(tlv.parse_flat(record, duplicates=True, leaves=True))
        except EmvDataError:
            continue  # a damaged record says nothing of the key
    return held


def _covered(image: ApplicationImage) -> bytes:
    """Give the static data that a card's certificate covers. EMV 4.4 Book 3, 10.3."""
    signed = [
        (entry.sfi, image.records[entry.sfi, number])
        for entry in parse_afl(image.afl)
        for number, authenticated in entry.records()
        if authenticated
    ]
    return static_data(signed, image.aip, _objects(image).get("9F4A"))
