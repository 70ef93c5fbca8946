"""The tests notice the bugs they are there for: some bugs each run, all by `make injected-bugs`."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Give scripts/injected_bugs.py."""
    specification = importlib.util.spec_from_file_location(
        "injected_bugs", ROOT / "scripts" / "injected_bugs.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["injected_bugs"] = module  # Its dataclass looks its module up.
    specification.loader.exec_module(module)
    return module


def test_every_bug_of_the_list_fits_the_sources_and_names_a_test(script: ModuleType) -> None:
    bugs = [*script.load(), *script.load(script.NATIVE_LIST)]
    assert len(bugs) >= 25
    for bug in bugs:
        find, replace = bug.find.lstrip("\n"), bug.replace.lstrip("\n")
        text = (ROOT / bug.file).read_text("utf-8")
        assert text.count(find) == 1, f"{bug.name}: mend its list"
        if not bug.is_native:
            compile(text.replace(find, replace), bug.file, "exec")
        file, _, test = bug.test.partition("[")[0].partition("::")
        assert f"def {test}" in (ROOT / script.TESTS / file).read_text("utf-8"), bug.name


@pytest.mark.slow
def test_bugs_that_would_lose_money_are_caught(script: ModuleType) -> None:
    said: list[str] = []
    bugs = [bug for bug in script.load() if bug.quick]
    assert len(bugs) == 3
    assert script.inject(bugs, say=said.append, sound_first=False) == [], "\n".join(said)
