"""Outside services as one table: presence and install line, for doctor, tests and scripts alike."""

import shutil
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Service:
    """One outside program that lumbung or its tests can use."""

    name: str
    purpose: str
    command: str
    apt: tuple[str, ...]
    needed_by: str
    file: str = ""

    @property
    def install_line(self) -> str:
        """Give the command that obtains it on Debian and its kin."""
        return f"apt-get install -y --no-install-recommends {' '.join(self.apt)}"

    def missing(self) -> str:
        """Give what is not there, or an empty string when the service can be used."""
        if not _on_path(self.command):
            return f"no command {self.command}"
        if self.file and not Path(self.file).exists():
            return f"no {self.file}"
        return ""


def _on_path(command: str) -> bool:
    # Daemons live in sbin, which is not on every user's path.
    return any(
        shutil.which(command, path=path) for path in (None, "/usr/sbin:/sbin:/usr/local/sbin")
    )


@cache
def services() -> dict[str, Service]:
    """Give the table by name."""
    table = tomllib.loads(files("lumbung").joinpath("services.toml").read_text("utf-8"))
    return {
        name: Service(name=name, apt=tuple(entry.pop("apt")), **entry)
        for name, entry in table.items()
    }
