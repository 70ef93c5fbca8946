"""Journal segments in their directory: names, reading in order, deleting the oldest."""

from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.values import SecretBytes
from switch.journal.records import Entry, JournalError, read_records, read_segment_header
from switch.limits import JOURNAL_SEGMENT_BYTES_MAX

_PATTERN = "segment-*.lmj"


def segments_of(directory: Path) -> list[Path]:
    """Give the segments of a journal, the oldest first."""
    return sorted(directory.glob(_PATTERN))


def number_of(segment: Path) -> int:
    """Give a segment's number.

    >>> number_of(Path("journal/segment-00000007.lmj"))
    7
    """
    return int(segment.stem.rpartition("-")[2])


def path_of(directory: Path, number: int) -> Path:
    """Give where a segment lies."""
    return directory / f"segment-{number:08d}.lmj"


def cipher_for(key: SecretBytes) -> AESGCM:
    """Give what seals and opens records; the key has 32 bytes."""
    return AESGCM(key.reveal())


def read_journal(
    directory: Path, key: SecretBytes | None, *, first_segment: int = 1
) -> Iterator[Entry]:
    """Yield every entry in order, also beside a running switch; what is torn at an end is left out.

    Without a key the messages are empty. Raises JournalError for damage and for another key.
    """
    segments = [path for path in segments_of(directory) if number_of(path) >= first_segment]
    if not segments:
        raise JournalError(
            f"{directory}: no journal segment here.",
            fix="Give the data directory of a switch that keeps a journal.",
        )
    for path in segments:
        yield from read_segment(path, key)


def read_segment(path: Path, key: SecretBytes | None) -> Iterator[Entry]:
    """Yield the entries of one segment."""
    try:
        with path.open("rb") as file:
            raw = file.read(JOURNAL_SEGMENT_BYTES_MAX)
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror}).") from error
    header, start = read_segment_header(raw, str(path))
    cipher = cipher_for(key) if key is not None else None
    for _end, entries in read_records(raw, start, header["links"], cipher, str(path)):
        yield from entries
