"""The stub of the native core names what is in it, no more and no less."""

import ast
import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest

from protocols.crypto import pure
from protocols.crypto.engine import Engine

STUB = ast.parse(Path(__file__).parents[2].joinpath("protocols", "_core.pyi").read_text("utf-8"))


@pytest.fixture
def core() -> ModuleType:
    """Give the core, or skip where it was not built."""
    try:
        return importlib.import_module("protocols._core")
    except ImportError:
        if os.environ.get("LUMBUNG_REQUIRE_NATIVE") == "1":
            pytest.fail("protocols._core was not built")
        pytest.skip("protocols._core was not built: python -m pip install -e . with Rust")


def public(given: object) -> set[str]:
    """Give the names that a class or module offers."""
    return {name for name in dir(given) if not name.startswith("_")}


@pytest.mark.parametrize("name", ["CodecCore", "FactsReader", "LazyMessage"])
def test_stub_of_a_class_has_its_methods(core: ModuleType, name: str) -> None:
    (stub,) = (node for node in STUB.body if isinstance(node, ast.ClassDef) and node.name == name)
    told = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    found = getattr(core.codec, name)
    assert {method for method in told if not method.startswith("_")} == public(found)
    assert all(hasattr(found, method) for method in told)


def test_both_engines_have_every_name_of_the_engine(core: ModuleType) -> None:
    told = public(Engine) | {"NAME"}
    assert public(core.crypto) == told
    assert told <= public(pure)
    for name in ("Tdes", "RetailMac", "ModPower", "IssuerKey"):
        assert public(getattr(core.crypto, name)) == public(getattr(pure, name))
