"""The one error of the codec, and the one of spec files.

A `MessageError` says where (element path, byte offset) and why (a `Reason`), never what: it holds
no byte of the message, so it may be logged and shown. Nothing else leaves `decode`, `encode`,
`peek` or `split_mac`, whatever the bytes are; the tests feed them damage by the thousand.
"""

from enum import StrEnum

from protocols.errors import ConfigurationError, LumbungError


class Reason(StrEnum):
    """Why a message was refused; the text is for people, the name is stable."""

    TRUNCATED = "the message ends inside it"
    LEFT_OVER = "bytes are left over behind it"
    TOO_LONG = "longer than the spec allows"
    TOO_SHORT = "shorter than the spec requires"
    BAD_PREFIX = "its length prefix is not a number of the prescribed form"
    BAD_COUNT = "its length does not fit its encoding"
    NOT_DIGITS = "holds something other than digits"
    BAD_NIBBLE = "holds a half-byte that packed decimal does not allow"
    BAD_PADDING = "its padding is not the prescribed one"
    BAD_CHARACTER = "holds a character outside its set"
    BAD_TRACK = "is not track 2: digits around one separator"
    BAD_BITMAP = "a bitmap of a form that the spec does not allow"
    UNKNOWN_ELEMENT = "the spec has no such element"
    BAD_TAG = "a tag of a form that the spec does not allow"
    BAD_LENGTH_FORM = "a length that is not in its shortest form"
    DUPLICATE_TAG = "a tag stands twice"
    TOO_MANY = "more parts than the limit"
    MISSING = "is missing"
    NOT_ALLOWED = "does not belong in this message"
    WRONG_TYPE = "its value is of the wrong type"
    BAD_MTI = "is not a message type of four digits"


class MessageError(LumbungError):
    """A message that the spec refuses.

    `path` names the element (`"55.9F26"`, `"mti"`, `"bitmap"`, `"message"`), `offset` the byte
    where the trouble was seen (None when encoding), `response_code_hint` the DE39 that suits an
    answer (30, format error).
    """

    code = "E-PR-0101"

    def __init__(self, path: str, offset: int | None, reason: Reason, detail: str = "") -> None:
        """Keep the position; `detail` holds numbers only (lengths, limits), never content."""
        where = "" if offset is None else f" at byte {offset}"
        more = f" ({detail})" if detail else ""
        super().__init__(f"{_noun(path)}{where}: {reason.value}{more}.")
        self.path = path
        self.offset = offset
        self.reason = reason
        self.detail = detail
        self.response_code_hint = "30"

    def __reduce__(self) -> tuple[type["MessageError"], tuple[str, int | None, Reason, str]]:
        return (MessageError, (self.path, self.offset, self.reason, self.detail))


class SpecError(ConfigurationError):
    """A spec file is wrong; `problems` lists every `file:line: path: ...` line."""

    code = "E-PR-0102"

    def __init__(self, problems: list[str]) -> None:
        """Keep all problems; the text is one per line."""
        super().__init__("\n".join(problems))
        self.problems = problems


def _noun(path: str) -> str:
    return f"element {path}" if path[:1].isdigit() else path
