"""Dynamic signatures: INTERNAL AUTHENTICATE (DDA) and the combined one (CDA).

Source: EMV 4.4 Book 2, 6.5 and 6.6; Book 3, 6.5.9.
"""

from hashlib import sha1

from cardsim.application import Application
from cardsim.misbehaviour import Misbehaviour
from protocols.crypto.oda import CdaData, sign_dynamic_data
from protocols.emv import tlv

_OK = b"\x90\x00"
_WRONG_LENGTH = b"\x67\x00"
_NOT_SUPPORTED = b"\x6a\x81"
_WRONG_PARAMETERS = b"\x6a\x86"
#: Longest ICC dynamic number. EMV 4.4 Book 2, table 15.
_NUMBER_BYTES = 8
#: What a list must at least ask, and the default list asks: the unpredictable number.
_DEFAULT_DDOL_BYTES = 4


def internal_authenticate(application: Application, p1: int, p2: int, data: bytes) -> bytes:
    """Sign the DDOL's values; 6A81 on a card without a key."""
    if p1 or p2:
        return _WRONG_PARAMETERS
    key = application.key
    if key is None:
        return _NOT_SUPPORTED
    if len(data) != (application.ddol_length or _DEFAULT_DDOL_BYTES):
        return _WRONG_LENGTH
    number = application.random_bytes(_NUMBER_BYTES)
    if Misbehaviour.REPLAYED_NUMBER in application.misbehaves:
        data = bytes(len(data))
    signed = sign_dynamic_data(key, bytes((_NUMBER_BYTES,)) + number, data)
    if application.image.gpo_format == 1:
        return tlv.build([("80", signed)]) + _OK
    return tlv.build([("77", tlv.build([("9F4B", signed)]))]) + _OK


def combined_answer(
    application: Application, ordinal: int, data: bytes, cryptogram: bytes, objects: list[bytes]
) -> bytes:
    """Give the answer to GENERATE AC in template 77 with 9F4B in place of the cryptogram.

    `objects` are the encodings of 9F27, 9F36 and 9F10. Source: EMV 4.4 Book 2, 6.6.1.
    """
    key = application.key
    assert key is not None
    cid = objects[0][-1]
    sent = [application.pdol_values, application.cdol1_values]
    if ordinal == 1:
        sent.append(data)
    # The objects as they leave, without 9F4B: what `cda_transaction_hash` finds in the answer.
    covered = b"".join((*sent, *objects))
    transaction_hash = sha1(covered, usedforsecurity=False).digest()
    number = application.value(ordinal, data, "9F37")
    if Misbehaviour.WRONG_TRANSACTION_HASH in application.misbehaves:
        transaction_hash = bytes(len(transaction_hash))
    if Misbehaviour.REPLAYED_NUMBER in application.misbehaves:
        number = bytes(len(number))
    dynamic = CdaData(application.random_bytes(_NUMBER_BYTES), cid, cryptogram, transaction_hash)
    signed = sign_dynamic_data(key, dynamic.encoded(), number)
    # Built without a parser: the tags are fixed, and this is the hot part of a signing card.
    signature = b"\x9f\x4b" + tlv.encode_length(len(signed)) + signed
    body = b"".join((*objects[:2], signature, objects[2]))
    return b"\x77" + tlv.encode_length(len(body)) + body + _OK
