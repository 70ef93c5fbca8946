"""What the bits of a bitmap announce."""

from protocols.iso8583.model import Spec


def numbers_of(bits: int, width: int, spec: Spec) -> list[int]:
    """Give the element numbers of a bitmap of `width` bits, without the bitmaps themselves."""
    skip = (1, 65) if spec.bitmap_tertiary else (1,)
    return [
        number
        for number in range(1, width + 1)
        if bits >> (width - number) & 1 and number not in skip
    ]
