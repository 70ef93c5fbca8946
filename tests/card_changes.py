"""Altered cards and answers: what kernel tests put between terminal and card."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cardsim import CardImage
from protocols.emv import tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import PSE_NAME
from tests.card_kit import Tamper, with_application, with_records

Change = Callable[[CardImage], CardImage]


def status(ins: int, sw: int, *, nth: int = 1, p2: int | None = None) -> Tamper:
    """Answer a status word at the nth command with this INS (and P2)."""
    seen = 0

    def tamper(command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
        nonlocal seen
        if command.ins == ins and p2 in (None, command.p2):
            seen += 1
            if seen == nth:
                return ResponseApdu.status(sw)
        return answer

    return tamper


def body(ins: int, change: Callable[[bytes], bytes], *, nth: int = 1) -> Tamper:
    """Alter the data of the nth good answer to this INS."""
    seen = 0

    def tamper(command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
        nonlocal seen
        if command.ins == ins and answer.data:
            seen += 1
            if seen == nth:
                return ResponseApdu(change(answer.data), answer.sw1, answer.sw2)
        return answer

    return tamper


def chain(*tampers: Tamper) -> Tamper:
    """Apply several, in order."""

    def tamper(command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
        for step in tampers:
            answer = step(command, answer)
        return answer

    return tamper


def put(tag: str, value: str | None) -> Change:
    """Put another value for a tag into the records; None takes it out, "+" repeats it."""

    def change(image: CardImage) -> CardImage:
        def alter(records: dict[Any, bytes]) -> None:
            for place, record in records.items():
                inner = tlv.parse_flat(tlv.parse_flat(record)["70"])
                if tag in inner:
                    if value is None:
                        del inner[tag]
                    else:
                        inner[tag] = bytes.fromhex(value)
                    records[place] = tlv.build([("70", tlv.build(inner))])

        return with_records(image, alter)

    return change


def add(tag: str, value: str) -> Change:
    """Add an object to the last record, whether or not another record has it."""

    def change(image: CardImage) -> CardImage:
        def alter(records: dict[Any, bytes]) -> None:
            place, record = list(records.items())[-1]
            inner = tlv.parse_flat(record)["70"] + tlv.build([(tag, bytes.fromhex(value))])
            records[place] = tlv.build([("70", inner)])

        return with_records(image, alter)

    return change


def both(*changes: Change) -> Change:
    """Apply several changes."""

    def change(image: CardImage) -> CardImage:
        for step in changes:
            image = step(image)
        return image

    return change


def record_template(tag: str) -> Change:
    """Put the first record under another template."""

    def change(image: CardImage) -> CardImage:
        def alter(records: dict[Any, bytes]) -> None:
            place, record = next(iter(records.items()))
            records[place] = tlv.build([(tag, tlv.parse_flat(record)["70"])])

        return with_records(image, alter)

    return change


def app(**changes: Any) -> Change:
    return lambda image: with_application(image, **changes)


def state(**changes: Any) -> Change:
    def change(image: CardImage) -> CardImage:
        old = image.applications[0].state
        return with_application(image, state=replace(old, **changes))

    return change


def asks_hash(image: CardImage) -> CardImage:
    """Let CDOL1 ask for the transaction certificate hash (98) too."""
    cdol = image.applications[0].cdol1 + bytes.fromhex("9814")
    return both(app(cdol1=cdol), put("8C", cdol.hex()))(image)


def blocked_card(image: CardImage) -> CardImage:
    return replace(image, blocked=True)


def no_directory(command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
    """Answer "file not found" to the selection of the directory."""
    return ResponseApdu.status(0x6A82) if command.data == PSE_NAME else answer


def unchanged(_command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
    return answer
