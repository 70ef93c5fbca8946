"""What a signer puts on a card: certificates and static signature. EMV 4.4 Book 2, 5 and 6."""

import datetime

from cardsim.authority import Signer
from protocols.crypto.certificates import make_icc_certificate
from protocols.crypto.oda import sign_static_data
from protocols.values import Pan

#: Records that hold these stand only on cards with a static signature, with a key of their own.
STATIC_PLACEHOLDERS = frozenset(("{signature}",))
DYNAMIC_PLACEHOLDERS = frozenset(("{icc_certificate}", "{icc_remainder}", "{icc_exponent}"))

_SERIAL = b"\x00\x00\x02"


def signed_values(signer: Signer, data: bytes, pan: Pan, expiry: datetime.date) -> dict[str, bytes]:
    """Give the values of a signed card's placeholders over its static data.

    Raises CertificateError for a card key longer than the issuer's.
    """
    values = {
        "{ca_index}": bytes((signer.ca_index,)),
        "{certificate}": signer.certificate.certificate,
        "{remainder}": signer.certificate.remainder,
        "{exponent}": signer.certificate.exponent,
    }
    if signer.static:
        values["{signature}"] = sign_static_data(signer.key, signer.code, data)
    if (card_key := signer.card_key(pan)) is not None:
        until = signer.card_expiry_mmyy or expiry.strftime("%m%y")
        made = make_icc_certificate(signer.key, card_key.public, pan, until, _SERIAL, data)
        values["{icc_certificate}"] = made.certificate
        values["{icc_remainder}"] = made.remainder
        values["{icc_exponent}"] = made.exponent
    return values
