"""What status bytes mean, from `status_words.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class StatusWord:
    """A pattern of four hex digits (`x` stands for any), its meaning and where it is laid down."""

    pattern: str
    name: str
    meaning: str
    source: str


def _read_table() -> Mapping[str, StatusWord]:
    table = tomllib.loads(files("protocols.emv").joinpath("status_words.toml").read_text("utf-8"))
    return MappingProxyType(
        {
            pattern: StatusWord(pattern, entry["name"], entry["meaning"], entry["source"])
            for pattern, entry in table.items()
        }
    )


#: Every entry by its pattern.
STATUS_WORDS: Mapping[str, StatusWord] = _read_table()


def status_word(sw: int) -> StatusWord | None:
    """Give the entry of a status word, the most exact pattern first; None when unknown.

    >>> status_word(0x9000).name, status_word(0x63C2).name, status_word(0x6C10).name
    ('ok', 'pin_tries_left', 'wrong_le')
    """
    text = f"{sw:04X}"
    for pattern in (text, text[:3] + "x", text[:2] + "xx"):
        if (entry := STATUS_WORDS.get(pattern)) is not None:
            return entry
    return None


def meaning_of(status: bytes) -> str:
    """Give in words what two status bytes say; for people.

    >>> meaning_of(bytes.fromhex("6A82")), meaning_of(b"\\x91\\x00")
    ('no such application or file', 'no meaning laid down for 9100')
    """
    entry = status_word(int.from_bytes(status[-2:], "big")) if len(status) >= 2 else None
    return entry.meaning if entry is not None else f"no meaning laid down for {status.hex()}"


SW_OK = 0x9000
SW_SELECTED_FILE_INVALIDATED = 0x6283
SW_AUTHENTICATION_FAILED = 0x6300
SW_WRONG_LENGTH = 0x6700
SW_SECURITY_STATUS_NOT_SATISFIED = 0x6982
SW_AUTHENTICATION_METHOD_BLOCKED = 0x6983
SW_REFERENCED_DATA_INVALIDATED = 0x6984
SW_CONDITIONS_NOT_SATISFIED = 0x6985
SW_SECURE_MESSAGING_OBJECT_MISSING = 0x6987
SW_SECURE_MESSAGING_OBJECT_INCORRECT = 0x6988
SW_WRONG_DATA = 0x6A80
SW_FUNCTION_NOT_SUPPORTED = 0x6A81
SW_FILE_NOT_FOUND = 0x6A82
SW_RECORD_NOT_FOUND = 0x6A83
SW_WRONG_P1_P2 = 0x6A86
SW_REFERENCED_DATA_NOT_FOUND = 0x6A88
SW_WRONG_OFFSET = 0x6B00
SW_INS_NOT_SUPPORTED = 0x6D00
SW_CLA_NOT_SUPPORTED = 0x6E00
SW_UNKNOWN = 0x6F00
