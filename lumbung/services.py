"""Outside services as one table: presence and install line, for doctor, tests and scripts alike."""

import importlib.util
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
    module: str = ""
    lock: str = ""

    @property
    def install_line(self) -> str:
        """Give the command that obtains it on Debian and its kin."""
        return f"apt-get install -y --no-install-recommends {' '.join(self.apt)}"

    @property
    def module_line(self) -> str:
        """Give the command that installs its pinned Python module, in the project's root."""
        return f"pip install --require-hashes --no-build-isolation -r {self.lock}"

    def missing(self) -> str:
        """Give what is not there, or an empty string when the service can be used."""
        if not program(self.command):
            return f"no command {self.command}"
        if self.file and not Path(self.file).exists():
            return f"no {self.file}"
        return ""

    def missing_for_tests(self) -> str:
        """Give what a test lacks: the service itself, or the Python module that reaches it."""
        return self.missing() or self.missing_module()

    def line_for_tests(self) -> str:
        """Give the command that obtains what a test lacks."""
        return self.install_line if self.missing() else self.module_line

    def missing_module(self) -> str:
        """Give the Python module that is not installed, or an empty string."""
        if self.module and importlib.util.find_spec(self.module) is None:
            return f"no Python module {self.module}"
        return ""


def program(command: str) -> str:
    """Give the path of a program, or an empty string. Daemons live in sbin, on few users' path."""
    paths = (None, "/usr/sbin:/sbin:/usr/local/sbin")
    return next((found for path in paths if (found := shutil.which(command, path=path))), "")


@cache
def services() -> dict[str, Service]:
    """Give the table by name."""
    table = tomllib.loads(files("lumbung").joinpath("services.toml").read_text("utf-8"))
    return {
        name: Service(name=name, apt=tuple(entry.pop("apt")), **entry)
        for name, entry in table.items()
    }
