"""What is wrong in a file, by line and column: place, kind and length, never a person's data."""

from dataclasses import dataclass
from pathlib import Path

from programme.limits import DECREE_FAULTS_MAX
from protocols.catalogue import LANGUAGES, text
from protocols.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a cell: a key of the message catalogue and the values of its text.

    >>> complaint("decree.digit_count", found=15).said("en")
    '15 digits, not 16 - copy the number again from the family card'
    """

    key: str
    values: tuple[tuple[str, object], ...] = ()

    def said(self, lang: str = "id") -> str:
        """Give `what - how to mend` in a language."""
        return text(self.key, lang, **dict(self.values))


def complaint(key: str, **values: object) -> Complaint:
    """Give a complaint by its catalogue key."""
    return Complaint(key, tuple(values.items()))


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend: 1-based line, column name or `file`, what is wrong and how to mend it."""

    line: int
    column: str
    complaint: Complaint

    def told(self, path: Path) -> str:
        """Give `file:line: column: apa - perbaikan / what - how to mend`, in both languages.

        >>> Fault(3, "nama", complaint("decree.empty")).told(Path("a.csv"))
        'a.csv:3: nama: kosong - isi / empty - fill it in'
        """
        both = " / ".join(self.complaint.said(lang) for lang in LANGUAGES)
        return f"{path}:{self.line}: {self.column}: {both}"


class DecreeFileError(ConfigurationError):
    """A file was not applied; `faults` says why, at most `DECREE_FAULTS_MAX` of them."""

    code = "E-PG-0201"

    def __init__(self, path: Path, faults: list[Fault], *, more: bool = False) -> None:
        """Keep the faults in the order of lines; `more` says that the list was cut off."""
        ordered = sorted(faults, key=lambda fault: fault.line)[:DECREE_FAULTS_MAX]
        lines = [fault.told(path) for fault in ordered]
        if more or len(faults) > len(ordered):
            rest = complaint("decree.more_faults", count=len(ordered))
            lines.append(f"{path}: " + " / ".join(rest.said(lang) for lang in LANGUAGES))
        super().__init__("\n".join(lines), internal=f"{path}: {len(faults)} faults, not applied")
        self.faults = tuple(ordered)
        self._more = more or len(faults) > len(ordered)

    def named(self, path: Path) -> "DecreeFileError":
        """Give the same faults of a file that its reader knows by another name."""
        return DecreeFileError(path, list(self.faults), more=self._more)


class FaultList:
    """Collects faults up to the bound."""

    def __init__(self) -> None:
        """Start without faults."""
        self.faults: list[Fault] = []

    @property
    def full(self) -> bool:
        """Give whether the bound is reached, so that reading may stop."""
        return len(self.faults) >= DECREE_FAULTS_MAX

    def add(self, line: int, column: str, key: str, **values: object) -> None:
        """Note one fault by the catalogue key of its text."""
        self.faults.append(Fault(line, column, complaint(key, **values)))

    def note(self, line: int, column: str, found: Complaint) -> None:
        """Note one fault that a check of a cell gave."""
        self.faults.append(Fault(line, column, found))
