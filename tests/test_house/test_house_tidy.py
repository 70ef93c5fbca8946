"""The house rules that a machine can check (STYLE.md). Ratchets only ever go down."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

# It parses every source file: too slow for each save, quick enough for each change.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lumbung", "terminal", "switch", "programme", "ledger", "cardsim", "protocols")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

#: Files that are longer than the rule, with their length today: a ratchet, never raised.
LONGER_FILES: dict[str, int] = {}
#: Functions that are longer than the rule, with their length today.
LONGER_FUNCTIONS: dict[str, int] = {}


@cache
def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def test_source_file_of_any_package_stays_within_its_lines() -> None:
    too_long = {}
    for path in tracked("*.py", "*.rs"):
        lines = len(path.read_text("utf-8").splitlines())
        name = str(path.relative_to(ROOT))
        if lines > LONGER_FILES.get(name, FILE_LINES_MAX):
            too_long[name] = lines
    assert not too_long


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_function_of_any_package_stays_within_its_lines() -> None:
    too_long = {}
    for path in tracked("*.py"):
        for name, lines in functions(path):
            key = f"{path.relative_to(ROOT)}:{name}"
            if lines > LONGER_FUNCTIONS.get(key, FUNCTION_LINES_MAX):
                too_long[key] = lines
    assert not too_long


def public_nodes(module: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in module.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for child in node.body:
                    if isinstance(child, kinds) and not child.name.startswith("_"):
                        yield f"{node.name}.{child.name}", child


def test_public_name_of_any_package_has_a_docstring() -> None:
    bare = []
    for path in tracked(*(f"{package}/*.py" for package in PACKAGES)):
        if path.stat().st_size and ast.get_docstring(tree(path)) is None:
            bare.append(str(path.relative_to(ROOT)))
        for name, node in public_nodes(tree(path)):
            assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            if ast.get_docstring(node) is None:
                bare.append(f"{path.relative_to(ROOT)}:{name}")
    assert not bare


CORES = (
    *(f"protocols/{name}" for name in ("*.py", "iso8583/*.py", "emv/*.py", "crypto/*.py")),
    "cardsim/card*.py", "cardsim/application*.py", "terminal/kernel/*.py", "terminal/host*.py",
    "terminal/purchase*.py", "switch/pipeline/*.py", "switch/session*.py", "switch/flows/*.py",
)  # fmt: skip
OUTSIDE = {"asyncio", "socket", "time", "random", "secrets", "os", "select", "threading"}


def test_core_module_imports_neither_io_nor_clock_nor_chance() -> None:
    guilty = []
    for path in tracked(*CORES):
        for node in ast.walk(tree(path)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            guilty += [
                f"{path.relative_to(ROOT)}: {n}" for n in names if n.split(".")[0] in OUTSIDE
            ]
    assert not guilty


UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError|unimplemented!|todo!)")


def test_source_file_holds_nothing_unfinished() -> None:
    here = Path(__file__).resolve()
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked("*.py", "*.rs", "*.toml", "*.sh", "Makefile")
        if path.resolve() != here
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_file_pins_every_package_by_hash_and_names_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--find-links" not in text
    pins = re.findall(r"^[a-z0-9-]+==\S+.*$", text, re.M)
    assert len(pins) > 10
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.M)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


def test_top_level_packages_are_ours() -> None:
    import importlib

    for name in PACKAGES:
        module = importlib.import_module(name)
        assert module.__file__ is not None
        assert Path(module.__file__).resolve().is_relative_to(ROOT), f"{name} is another project's"


def test_markdown_page_has_one_title() -> None:
    wrong = []
    for path in tracked("*.md"):
        text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)
        if len(re.findall(r"^# ", text, re.M)) != 1 and "changes/" not in str(path):
            wrong.append(str(path.relative_to(ROOT)))
    assert not wrong


def test_readme_stays_readable() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150
