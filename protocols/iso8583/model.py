"""What a spec is once it is loaded: frozen records that walk, pack, plan and describe read.

Lengths are in the unit of the value: digits, characters or bytes. Nothing here knows TOML; the
loader fills these records and has checked what the other modules rely on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What an element's value is."""

    TEXT = "text"
    DIGITS = "digits"
    BYTES = "bytes"
    TRACK2 = "track2"
    BITMAP = "bitmap"
    POSITIONAL = "positional"
    TLV = "tlv"
    LTV = "ltv"
    BER_TLV = "ber-tlv"
    BITMAPPED = "bitmapped"
    DATASET = "dataset"


#: Kinds whose value is made of sub-elements.
COMPOSITES = frozenset(
    {Kind.POSITIONAL, Kind.TLV, Kind.LTV, Kind.BER_TLV, Kind.BITMAPPED, Kind.DATASET}
)

#: Kinds whose value is a str.
STRINGS = frozenset({Kind.TEXT, Kind.DIGITS, Kind.TRACK2})


class Sensitivity(StrEnum):
    """How an element is masked before anyone sees it (design decision 19)."""

    NONE = "none"
    PAN = "pan"
    TRACK = "track"
    PIN = "pin"
    EMV = "emv"
    WIPE = "wipe"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Prefix:
    """How a length is written in front of a value.

    `width` is digits for decimal encodings (`ascii`, `bcd`, `ebcdic`) and bytes for `binary` (big
    endian). `counts` is `digits` (digits or characters of the value; for bytes in hex: hex
    digits), `bytes` (bytes on the wire) or `nibbles` (half-bytes on the wire, padding included).
    """

    width: int
    encoding: str
    counts: str
    includes_self: bool = False

    @property
    def size(self) -> int:
        """Give the bytes that the prefix takes."""
        return (self.width + 1) // 2 if self.encoding == "bcd" else self.width


@dataclass(frozen=True, slots=True)
class TagForm:
    """How tags and lengths of a private TLV or LTV stand on the wire.

    `tag_bytes` of `binary` (key: upper-case hex) or of `ascii` characters; the length counts the
    value, and in LTV the tag too when `length_counts_tag`.
    """

    tag_bytes: int
    tag_encoding: str
    length: Prefix
    length_counts_tag: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """One element or sub-element.

    `key` is what the value's dict is keyed by: the number of an element, the name or tag of a
    sub-element. `minimum` equals `maximum` in a fixed element. `sub` lists sub-elements in order.
    """

    key: str
    path: str
    name: str
    kind: Kind
    encoding: str
    minimum: int
    maximum: int
    prefix: Prefix | None = None
    pad: str = ""
    odd: str = "left-0"
    charset: str = "ans"
    sensitive: Sensitivity = Sensitivity.NONE
    codes: Mapping[str, str] = field(default_factory=dict)
    sub: tuple["Element", ...] = ()
    tag: str = ""
    form: TagForm | None = None
    repeats: int = 1
    bitmap_bytes: int = 0
    note: str = ""
    example: object = None
    source: str = ""

    @property
    def is_fixed(self) -> bool:
        """Tell whether the length stands in the spec and not on the wire."""
        return self.prefix is None and self.minimum == self.maximum

    @property
    def is_composite(self) -> bool:
        """Tell whether the value is made of sub-elements."""
        return self.kind in COMPOSITES


@dataclass(frozen=True, slots=True)
class MessageUse:
    """One use of an MTI: which elements it must, may and echoes.

    `repeat` is the MTI of its repeats (0401 of 0400), empty when it has none. `processing_codes`
    (DE3; six digits, or two that stand for all codes beginning with them) and `network_codes`
    (DE70) tell uses of one MTI apart; an empty one does not distinguish. `echoed` are copied from
    the request into an answer when present there.
    """

    name: str
    mti: str
    repeat: str
    title: str
    answer: str
    processing_codes: frozenset[str]
    network_codes: frozenset[str]
    mandatory: frozenset[int]
    optional: frozenset[int]
    echoed: frozenset[int]
    source: str


@dataclass(frozen=True, slots=True)
class Spec:
    """One dialect: how MTI and bitmaps are written, every element, every use of a message.

    `uses` lists the uses of each MTI, repeats included, in the order of `messages`. `mti_version`
    is the first digit of its message types (0 for 1987, 1 for 1993, 2 for 2003), empty when any
    may come; it only tells which specification suits a message best.
    """

    name: str
    title: str
    version: str
    source: str
    mti_encoding: str
    bitmap_encoding: str
    bitmap_always_128: bool
    bitmap_tertiary: bool
    elements: Mapping[int, Element]
    messages: Mapping[str, MessageUse]
    peek: tuple[int, ...]
    uses: Mapping[str, tuple[MessageUse, ...]] = field(default_factory=dict)
    mac_note: str = ""
    notes: tuple[str, ...] = ()
    mti_version: str = ""

    @property
    def mti_size(self) -> int:
        """Give the bytes of the MTI: 2 packed, else 4."""
        return 2 if self.mti_encoding == "bcd" else 4

    @property
    def bitmap_size(self) -> int:
        """Give the bytes of one bitmap of 64 bits: 8 binary, else 16."""
        return 8 if self.bitmap_encoding == "binary" else 16
