"""What is wrong with EMV data, and where: never what it held."""

from protocols.errors import LumbungError


class EmvDataError(LumbungError):
    """EMV data is malformed.

    `path` names the object (`6F.A5.9F38`, empty at the top), `offset` is the byte in the input
    that was parsed, `reason` says what is wrong. None of them holds content.
    """

    code = "E-EM-0001"

    def __init__(self, path: str, offset: int, reason: str) -> None:
        """Keep the place and the reason."""
        place = f"{path} " if path else ""
        super().__init__(f"EMV data: {place}at byte {offset}: {reason}.")
        self.path = path
        self.offset = offset
        self.reason = reason


class TlvError(EmvDataError):
    """BER-TLV data is malformed or past a bound."""

    code = "E-EM-0002"


class DolError(EmvDataError):
    """A data object list is malformed or asks for more than a command can carry."""

    code = "E-EM-0003"


class ApduError(EmvDataError):
    """A command or response APDU is malformed."""

    code = "E-EM-0004"
