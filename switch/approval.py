"""The approval code: a function of the transfer's id, so that a stored answer needs no store."""

#: Digits and capitals without I, L, O, U: nobody reads one for another.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LETTERS = 6
#: What ten bits give.
_PAIRS = [one + other for one in _ALPHABET for other in _ALPHABET]


def approval_code(transfer_id: int) -> str:
    """Give DE38 for a posted transfer: the first 30 bits of its id in base 32.

    Source: ISO 8583:1987 element 38 (six alphanumeric characters); design decision 9.

    >>> approval_code(0x3DF597F3B1F82399EA7741E8A657F014)
    '7QTSFW'
    """
    assert 0 < transfer_id < 1 << 128
    top = transfer_id >> (128 - 5 * _LETTERS)
    return _PAIRS[top >> 20] + _PAIRS[top >> 10 & 1023] + _PAIRS[top & 1023]
