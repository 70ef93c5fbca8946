"""Initiate application processing and read its data. Source: EMV 4.4 Book 3, 10.1 and 10.2."""

from collections.abc import Generator

from protocols.emv import commands, dol, status_words, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.errors import EmvDataError
from protocols.values import Pan, Track2
from terminal.kernel import limits, parsed
from terminal.kernel.context import KernelContext
from terminal.kernel.stop import card_error
from terminal.kernel.values import holds_objects, keep_card_object

#: Files whose records EMV lays down: one template 70 each. EMV 4.4 Book 3, 5.3.2.2.
_LAST_EMV_SFI = 10
_MANDATORY = ("5A", "5F24", "8C", "8D")
#: Lengths that the kernel relies on, minimum and maximum. EMV 4.4 Book 3, Annex A.
_LENGTHS = {
    "5A": (4, 10),
    "5F24": (3, 3),
    "5F25": (3, 3),
    "5F28": (2, 2),
    "5F34": (1, 1),
    "9F07": (2, 2),
    "9F08": (2, 2),
    "9F0D": (5, 5),
    "9F0E": (5, 5),
    "9F0F": (5, 5),
    "9F14": (1, 1),
    "9F23": (1, 1),
    "9F42": (2, 2),
}


def get_processing_options(
    context: KernelContext, pdol: bytes
) -> Generator[CommandApdu, ResponseApdu, bool]:
    """Send GPO and keep AIP and AFL; False when the card's conditions of use are not met (6985).

    Raises KernelStop. Source: EMV 4.4 Book 3, 10.1; Book 4, 6.3.1.
    """
    try:
        entries = parsed.data_object_list(pdol)
        context.pdol_values = dol.fill_dol(entries, context.dol_values())
        command = commands.get_processing_options(context.pdol_values)
    except EmvDataError:
        raise card_error("pdol-malformed") from None
    answer = yield command
    if answer.sw == status_words.SW_CONDITIONS_NOT_SATISFIED:
        return False
    if not answer.ok:
        raise card_error("gpo-status")
    try:
        context.card.update(_options(answer.data))
    except EmvDataError:
        raise card_error("gpo-malformed") from None
    return True


def _options(data: bytes) -> dict[str, bytes]:
    """Give 82 and 94 from format 1 (80) or format 2 (77)."""
    outer = tlv.parse_flat(data)
    if list(outer) == ["80"]:
        value = outer["80"]
        objects = {"82": value[:2], "94": value[2:]}
    elif list(outer) == ["77"]:
        objects = tlv.parse_flat(outer["77"])
    else:
        raise tlv.TlvError("", 0, "no single template 80 or 77")
    if len(objects.get("82", b"")) != 2 or "94" not in objects:
        raise tlv.TlvError("", 0, "no AIP of 2 bytes, or no AFL")
    return {tag: value for tag, value in objects.items() if keep_card_object(tag)}


def read_application_data(context: KernelContext) -> Generator[CommandApdu, ResponseApdu, None]:
    """Read every record of the AFL and keep its objects; check them. Raises KernelStop.

    Source: EMV 4.4 Book 3, 10.2, 7.2, 7.5.
    """
    try:
        entries = parsed.locator(context.card["94"])
    except EmvDataError:
        raise card_error("afl-malformed") from None
    if sum(entry.last - entry.first + 1 for entry in entries) > limits.AFL_RECORDS:
        raise card_error("afl-malformed")
    records: dict[str, bytes] = {}
    for entry in entries:
        for number, authenticated in entry.records():
            answer = yield commands.read_record(entry.sfi, number)
            if not answer.ok:
                raise card_error("record-status")
            if authenticated:
                context.static_records.append((entry.sfi, answer.data))
            if entry.sfi <= _LAST_EMV_SFI:
                _merge(records, answer.data)
    for tag, value in records.items():
        if tag in context.card:
            raise card_error("record-duplicate")
        if keep_card_object(tag):
            context.card[tag] = value
    check_application_data(context)


def _merge(records: dict[str, bytes], data: bytes) -> None:
    """Take a record's objects; the engine's flat reading serves every record without a fault."""
    try:
        outer = tlv.parse_flat(data)
        objects = tlv.parse_flat(outer["70"]) if list(outer) == ["70"] else {}
    except EmvDataError:
        objects = {}
    if objects and not any(map(holds_objects, objects)) and records.keys().isdisjoint(objects):
        records.update(objects)
    else:
        _merge_with_care(records, data)


def _merge_with_care(records: dict[str, bytes], data: bytes) -> None:
    """Take a record's objects one by one, so that what is wrong with them gets its reason."""
    try:
        outer = tlv.parse(data)
    except EmvDataError:
        raise card_error("record-malformed") from None
    if len(outer) != 1 or outer[0].tag != "70":
        raise card_error("record-malformed")
    for item in outer[0].children:
        if item.tag in records:
            raise card_error("record-duplicate")
        records[item.tag] = item.value


def check_application_data(context: KernelContext) -> None:
    """Check mandatory objects, lengths, and that card number and track 2 agree; keep both.

    Raises KernelStop. Source: EMV 4.4 Book 3, 7.2, 7.5; Annex A for 57 and 5A.
    """
    card = context.card
    if any(not card.get(tag) for tag in _MANDATORY):
        raise card_error("mandatory-missing")
    for tag, (shortest, longest) in _LENGTHS.items():
        if tag in card and not shortest <= len(card[tag]) <= longest:
            raise card_error("data-malformed")
    for tag in ("5F24", "5F25"):
        if tag in card and not _is_date(card[tag]):
            raise card_error("data-malformed")
    try:
        context.lists = {tag: parsed.data_object_list(card[tag]) for tag in ("8C", "8D")}
        context.pan = Pan(card["5A"].hex().rstrip("f"))
    except (EmvDataError, ValueError):
        raise card_error("data-malformed") from None
    if "57" not in card:
        raise card_error("track2-missing")
    try:
        context.track2 = Track2(card["57"].hex().upper())
    except ValueError:
        raise card_error("data-malformed") from None
    expiry = card["5F24"].hex()[:4]
    if context.track2.pan != context.pan or context.track2.expiry_yymm != expiry:
        raise card_error("track2-inconsistent")


def _is_date(value: bytes) -> bool:
    text = value.hex()
    return text.isdigit() and 1 <= int(text[2:4]) <= 12 and 1 <= int(text[4:]) <= 31
