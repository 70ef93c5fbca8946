"""Every error that an office reads is said in Bahasa and in English, from the one catalogue."""

import ast
import inspect
from pathlib import Path

import pytest

import programme
from programme import errors
from programme.errors import ProgrammeError, RuleError
from protocols.catalogue import LANGUAGES, keys
from protocols.errors import LumbungError

PACKAGE = Path(programme.__file__).parent
#: Errors that say their own faults, each from the catalogue: files, people, the HTTP interface.
OWN_CONSTRUCTOR = {"DecreeFileError", "ClashError", "ApiError"}


def kinds() -> dict[str, type[LumbungError]]:
    found = {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, LumbungError)
    }
    del found["LumbungError"]
    return found


def raised():
    """Yield (place, call) for every call of an error's class or of its `of`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def test_every_error_of_the_programme_is_one_that_the_catalogue_says():
    for name, kind in kinds().items():
        assert issubclass(kind, ProgrammeError), name


def test_no_error_is_raised_with_a_sentence_of_its_own():
    names = set(kinds()) - OWN_CONSTRUCTOR
    bare = [
        place
        for place, call in raised()
        if isinstance(call.func, ast.Name) and call.func.id in names
    ]
    assert bare == []


def test_every_key_that_an_error_names_stands_in_the_catalogue_in_each_language():
    named = {}
    for place, call in raised():
        if isinstance(call.func, ast.Attribute) and call.func.attr == "of" and call.args:
            first = call.args[0]
            if isinstance(first, ast.Constant) and "." in str(first.value):
                named[first.value] = place
    assert len(named) > 60
    for lang in LANGUAGES:
        missing = {key: place for key, place in named.items() if key not in keys(lang)}
        assert missing == {}


def test_part_of_a_sentence_has_its_own_words_in_each_language():
    class Part:
        def said(self, lang="id"):
            return {"id": "tidak", "en": "no"}[lang]

    error = RuleError.of("programme.place_wrong", column="kelurahan", complaint=Part())
    assert (error.said("id"), error.said("en")) == ("kelurahan: tidak", "kelurahan: no")
    assert str(error) == "kelurahan: tidak / kelurahan: no"


def test_sentence_without_a_key_is_a_bug():
    with pytest.raises(KeyError):
        RuleError.of("programme.nowhere")
