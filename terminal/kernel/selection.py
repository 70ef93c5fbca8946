"""Candidate list and final selection. Source: EMV 4.4 Book 1, 12.3 and 12.4."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from protocols.emv import commands, status_words, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.errors import EmvDataError
from terminal.kernel import limits
from terminal.kernel.configuration import TerminalApplication, TerminalData
from terminal.kernel.context import KernelContext
from terminal.kernel.outcomes import OutcomeKind
from terminal.kernel.stop import KernelStop
from terminal.kernel.values import application_values

Step = Generator[CommandApdu, ResponseApdu, None]

_CONFIRM = 0x80
_PRIORITY = 0x0F
_LAST = 16


@dataclass(frozen=True, slots=True)
class Candidate:
    """An application that card and terminal both support.

    `priority` is 1 (highest) to 15, 16 for a card that gives none.
    """

    aid: bytes
    label: str
    priority: int
    confirm: bool
    application: TerminalApplication


@dataclass(slots=True)
class CandidateList:
    """The candidates, and whether a blocked application was passed over."""

    candidates: list[Candidate]
    blocked_seen: bool = False


def build_candidate_list(
    data: TerminalData,
) -> Generator[CommandApdu, ResponseApdu, CandidateList]:
    """Give the candidates in the order of selection: by the directory, else by the list of AIDs.

    Raises KernelStop for a blocked card. Source: EMV 4.4 Book 1, 12.3.2-12.3.3, 12.4 step 4.
    """
    found = CandidateList((yield from _from_directory(data)))
    if not found.candidates:
        yield from _from_list(data, found)
    found.candidates.sort(key=lambda candidate: candidate.priority)
    return found


def _from_directory(
    data: TerminalData,
) -> Generator[CommandApdu, ResponseApdu, list[Candidate]]:
    """Read the payment system environment; anything wrong with it gives no candidate."""
    answer = yield commands.select(commands.PSE_NAME)
    if answer.sw == status_words.SW_FUNCTION_NOT_SUPPORTED:
        raise KernelStop(OutcomeKind.CARD_BLOCKED, "card-blocked")
    sfi = _directory_sfi(answer.data) if answer.ok else None
    if sfi is None:
        return []
    found: list[Candidate] = []
    for number in range(1, limits.DIRECTORY_RECORDS + 1):
        record = yield commands.read_record(sfi, number)
        if record.sw == status_words.SW_RECORD_NOT_FOUND:
            return found
        entries = _directory_entries(record.data) if record.ok else None
        if entries is None:
            return []
        for entry in entries:
            found.extend(match_entry(entry, data.applications))
    return found[: limits.CANDIDATES]


def _directory_sfi(fci: bytes) -> int | None:
    try:
        proprietary = read_fci(fci)[1]
    except EmvDataError:
        return None
    sfi = proprietary.get("88", b"")
    return sfi[0] if len(sfi) == 1 and 1 <= sfi[0] <= 10 else None


def _directory_entries(record: bytes) -> list[dict[str, bytes]] | None:
    try:
        outer = tlv.parse_flat(record)
        if list(outer) != ["70"]:
            return None
        entries = _templates(outer["70"])
    except EmvDataError:
        return None
    return entries if all(5 <= len(entry.get("4F", b"")) <= 16 for entry in entries) else None


def _templates(data: bytes) -> list[dict[str, bytes]]:
    """Give the objects of each template 61 among these objects; raise TlvError."""
    try:
        inner = tlv.parse_flat(data)
    except EmvDataError:  # an entry need not be the only one; only then the slower reading is used
        return [tlv.parse_flat(item.value) for item in tlv.parse(data) if item.tag == "61"]
    return [tlv.parse_flat(inner["61"])] if "61" in inner else []


def match_entry(
    entry: dict[str, bytes], applications: Iterable[TerminalApplication]
) -> list[Candidate]:
    """Give the candidate of a directory entry with a name (4F), none when it is not supported."""
    aid = entry["4F"]
    return [
        _candidate(aid, entry, application)
        for application in applications
        if aid == application.aid or (application.partial and aid.startswith(application.aid))
    ][:1]


def _candidate(
    aid: bytes, objects: dict[str, bytes], application: TerminalApplication
) -> Candidate:
    indicator = objects.get("87", b"\x00")
    octet = indicator[0] if len(indicator) == 1 else 0
    return Candidate(
        aid=aid,
        label=label_text(objects.get("50", b"")) or application.name,
        priority=octet & _PRIORITY or _LAST,
        confirm=bool(octet & _CONFIRM),
        application=application,
    )


def label_text(label: bytes) -> str:
    """Give a label as printable ASCII of at most 16 characters; what is not becomes a space.

    >>> label_text(b"SSN PANGAN\\x07")
    'SSN PANGAN'
    """
    return "".join(chr(c) if 32 <= c < 127 else " " for c in label[:16]).strip()


def _from_list(
    data: TerminalData, found: CandidateList
) -> Generator[CommandApdu, ResponseApdu, None]:
    """Try each of the terminal's AIDs, and further occurrences where a partial name may match."""
    for index, application in enumerate(data.applications):
        following = False
        for _ in range(limits.CANDIDATES):
            answer = yield commands.select(application.aid, next_occurrence=following)
            if index == 0 and not following and answer.sw == status_words.SW_FUNCTION_NOT_SUPPORTED:
                raise KernelStop(OutcomeKind.CARD_BLOCKED, "card-blocked")
            blocked = answer.sw == status_words.SW_SELECTED_FILE_INVALIDATED
            if not (answer.ok or blocked):
                break
            name = _note(answer.data, application, blocked, found)
            if name is None or not application.partial:
                break
            following = True


def _note(
    fci: bytes, application: TerminalApplication, blocked: bool, found: CandidateList
) -> bytes | None:
    """Put an answered application on the list; give its name, None when no further one can come."""
    try:
        name, proprietary = read_fci(fci)
    except EmvDataError:
        return None
    exact = name == application.aid
    if not exact and not (application.partial and name.startswith(application.aid)):
        return None
    if blocked:
        found.blocked_seen = True
    elif name not in {candidate.aid for candidate in found.candidates}:
        found.candidates.append(_candidate(name, proprietary, application))
    return name


def read_fci(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Give the DF name and the proprietary objects of file control information.

    Raises TlvError for anything but one template 6F with a name and a template A5.
    Source: EMV 4.4 Book 1, 11.3.4.
    """
    outer = tlv.parse_flat(data)
    if list(outer) != ["6F"]:
        raise tlv.TlvError("", 0, "no single template 6F")
    inner = tlv.parse_flat(outer["6F"])
    name, proprietary = inner.get("84", b""), inner.get("A5")
    if not 5 <= len(name) <= 16 or proprietary is None:
        raise tlv.TlvError("6F", 0, "no name of 5 to 16 bytes, or no template A5")
    return name, tlv.parse_flat(proprietary)


def select_application(
    context: KernelContext, found: CandidateList
) -> Generator[CommandApdu, ResponseApdu, bytes]:
    """Select the first candidate that answers well and give its PDOL (empty without one).

    Candidates that fail are taken off the list, so a second call goes on with the next one.
    Raises KernelStop when none is left. Source: EMV 4.4 Book 1, 12.4.
    """
    while found.candidates:
        candidate = found.candidates.pop(0)
        if candidate.confirm:
            if not found.candidates:
                raise KernelStop(OutcomeKind.NOT_ACCEPTED, "confirmation-unsupported")
            continue
        answer = yield commands.select(candidate.aid)
        if not answer.ok:
            found.blocked_seen |= answer.sw == status_words.SW_SELECTED_FILE_INVALIDATED
            continue
        try:
            name, proprietary = read_fci(answer.data)
        except EmvDataError:
            continue
        if name == candidate.aid:
            _take(context, candidate, proprietary)
            return proprietary.get("9F38", b"")
    code = "application-blocked" if found.blocked_seen else "no-application"
    raise KernelStop(OutcomeKind.NOT_ACCEPTED, code)


def _take(context: KernelContext, candidate: Candidate, proprietary: dict[str, bytes]) -> None:
    context.application = candidate.application
    context.aid = candidate.aid
    context.label = label_text(proprietary.get("50", b"")) or candidate.label
    context.card = {"84": candidate.aid}
    context.values.update(application_values(candidate.application, candidate.aid))
