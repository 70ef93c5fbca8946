"""What is wrong in a file, by line and column: place, kind and length, never a person's data."""

from dataclasses import dataclass
from pathlib import Path

from programme.limits import DECREE_FAULTS_MAX
from protocols.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend: 1-based line, column name or `file`, what is wrong, how to mend it."""

    line: int
    column: str
    what: str
    fix: str

    def told(self, path: Path) -> str:
        """Give `file:line: column: what - how to mend`.

        >>> Fault(3, "nik", "15 digits, not 16", "copy the number again").told(Path("a.csv"))
        'a.csv:3: nik: 15 digits, not 16 - copy the number again'
        """
        return f"{path}:{self.line}: {self.column}: {self.what} - {self.fix}"


class DecreeFileError(ConfigurationError):
    """A file was not applied; `faults` says why, at most `DECREE_FAULTS_MAX` of them."""

    code = "E-PG-0201"

    def __init__(self, path: Path, faults: list[Fault], *, more: bool = False) -> None:
        """Keep the faults in the order of lines; `more` says that the list was cut off."""
        ordered = sorted(faults, key=lambda fault: fault.line)[:DECREE_FAULTS_MAX]
        lines = [fault.told(path) for fault in ordered]
        if more or len(faults) > len(ordered):
            lines.append(f"{path}: there are more faults than the {len(ordered)} listed.")
        super().__init__("\n".join(lines), internal=f"{path}: {len(faults)} faults, not applied")
        self.faults = tuple(ordered)


class FaultList:
    """Collects faults up to the bound."""

    def __init__(self) -> None:
        """Start without faults."""
        self.faults: list[Fault] = []

    @property
    def full(self) -> bool:
        """Give whether the bound is reached, so that reading may stop."""
        return len(self.faults) >= DECREE_FAULTS_MAX

    def add(self, line: int, column: str, what: str, fix: str) -> None:
        """Note one fault."""
        self.faults.append(Fault(line, column, what, fix))
