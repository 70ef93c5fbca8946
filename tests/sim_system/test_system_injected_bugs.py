"""The simulation notices the bugs it is there for; all by `make injected-bugs SUITE=system`."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Give scripts/injected_system_bugs.py."""
    path = ROOT / "scripts" / "injected_system_bugs.py"
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module  # Its dataclass looks its module up.
    specification.loader.exec_module(module)
    return module


def test_every_bug_of_the_system_fits_the_sources(script: ModuleType) -> None:
    bugs = script.load()
    assert len(bugs) >= 12
    for bug in bugs:
        text = (ROOT / bug.file).read_text("utf-8")
        assert text.count(bug.find) == 1, f"{bug.name}: mend its list"
        compile(text.replace(bug.find, bug.replace), bug.file, "exec")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_bugs_that_would_double_or_lose_a_sale_are_caught_by_a_seed(script: ModuleType) -> None:
    said: list[str] = []
    bugs = [bug for bug in script.load() if bug.quick]
    assert len(bugs) == 2
    assert script.inject(bugs, said.append) == [], "\n".join(said)
