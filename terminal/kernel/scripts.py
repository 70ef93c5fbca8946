"""Issuer scripts: templates 71 and 72 and their results. Source: EMV 4.4 Book 3, 10.10."""

from collections.abc import Generator, Sequence

from protocols.emv import tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.errors import ApduError, EmvDataError
from terminal.kernel import limits

_NOT_PERFORMED, _FAILED, _SUCCESSFUL = 0x00, 0x10, 0x20
#: A command's number in the result is one digit; 15 stands for 15 and more. Book 4, A5.
_LAST_NUMBER = 0x0F


def run_script(template: bytes) -> Generator[CommandApdu, ResponseApdu, bytes]:
    """Send a script's commands in order until one fails; give its result of 5 bytes (9F5B).

    `template` is the value of 71 or 72. A malformed script is `not performed`. Warnings (62xx,
    63xx) go on. Source: EMV 4.4 Book 3, 10.10; Book 4, A5.
    """
    try:
        identifier, script = _read(template)
    except EmvDataError:
        return bytes((_NOT_PERFORMED,)) + bytes(4)
    for number, command in enumerate(script, 1):
        answer = yield command
        if answer.sw1 not in (0x90, 0x62, 0x63):
            return bytes((_FAILED | min(number, _LAST_NUMBER),)) + identifier
    return bytes((_SUCCESSFUL,)) + identifier


def succeeded(result: bytes) -> bool:
    """Tell whether a script's result says that all its commands were carried out.

    >>> succeeded(bytes.fromhex("2000000001")), succeeded(bytes.fromhex("1100000001"))
    (True, False)
    """
    return result[0] & 0xF0 == _SUCCESSFUL


def _read(template: bytes) -> tuple[bytes, Sequence[CommandApdu]]:
    if len(template) > limits.SCRIPT_BYTES:
        raise ApduError("71", 0, f"a script longer than {limits.SCRIPT_BYTES} bytes")
    identifier, script = bytes(4), []
    for item in tlv.parse(template):
        if item.tag == "9F18":
            identifier = item.value
        elif item.tag == "86":
            script.append(CommandApdu.parse(item.value))
    if len(identifier) != 4 or len(script) > limits.SCRIPT_COMMANDS:
        raise ApduError("71", 0, "an identifier of other than 4 bytes, or too many commands")
    return identifier, script
