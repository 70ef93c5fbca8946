"""Read a TOML file into a pydantic model; every fault is told as `file:line: key: ...` at once.

Shared by `switch.toml` and the rule file, so that both speak the same way: what is wrong, what is
allowed, how to mend it.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from protocols.errors import ConfigurationError
from protocols.toml_lines import line_of, line_of_error
from protocols.values import mask_free_text
from switch.limits import FILE_BYTES_MAX

Model = TypeVar("Model", bound=BaseModel)

#: Faults told at once; a file with more is not of this kind at all.
_FAULTS_MAX = 50


def load_model(path: Path, model: type[Model]) -> Model:
    """Give the model that the file describes; raise ConfigurationError listing every fault."""
    return parse_model(read_text(path), str(path), model)


def read_text(path: Path) -> str:
    """Give the text of a bounded UTF-8 file; raise ConfigurationError when there is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        problem = f"{path}:1: file: {error.strerror or 'cannot be read'}"
        raise ConfigurationError(
            f"{problem} - allowed: a readable file - name another file or mend its rights."
        ) from error
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigurationError(
            f"{path}:1: file: too large - allowed: {FILE_BYTES_MAX} bytes - is it the right file?"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{path}:{line}: file: not UTF-8 - allowed: UTF-8 text - save it as UTF-8."
        ) from error


def parse_model(text: str, name: str, model: type[Model]) -> Model:
    """Give the model that a TOML text describes; `name` is the file that errors name."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        ends_early = str(error).endswith("(at end of document)")
        line = text.count("\n") + 1 if ends_early else line_of_error(error)
        raise ConfigurationError(
            f"{name}:{line}: file: not TOML: {error} - allowed: TOML 1.0 - mend this line."
        ) from error
    except (RecursionError, ValueError) as error:
        line = _longest_line(text)
        raise ConfigurationError(
            f"{name}:{line}: file: a value too deep or too long to be read - allowed: lists in"
            " lists and numbers as in the example - mend this line."
        ) from error
    try:
        return model.model_validate(table)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=True, include_input=False)
        lines = sorted(_fault_line(text, name, model, fault) for fault in faults[:_FAULTS_MAX])
        raise ConfigurationError("\n".join(line for _number, line in lines)) from error


def _longest_line(text: str) -> int:
    """Give the line that holds most, where the parser gave up without naming one."""
    lengths = [len(line) for line in text.split("\n")]
    return lengths.index(max(lengths)) + 1


def _fault_line(text: str, name: str, model: type[BaseModel], fault: Any) -> tuple[int, str]:
    # Parts in angle brackets say which shape was meant; they stand nowhere in the file.
    location = [part for part in fault["loc"] if not str(part).startswith("<")]
    number = line_of(text, list(location)) if location else 1
    key = ".".join(str(part) for part in location) or "file"
    allowed, mend = _advice(fault, model, location)
    problem = mask_free_text(str(fault["msg"])).removeprefix("Value error, ")
    return number, f"{name}:{number}: {key}: {problem} - allowed: {allowed} - {mend}"


def _advice(fault: Any, model: type[BaseModel], location: Sequence[str | int]) -> tuple[str, str]:
    if fault["type"] == "extra_forbidden":
        keys = ", ".join(_fields_at(model, location[:-1]))
        return keys, "correct the spelling or remove the key."
    if fault["type"] == "missing":
        return _description(model, location), "add the key."
    return _description(model, location), "change the value."


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """Follow a location through nested models, lists and dicts of models."""
    current: type[BaseModel] | None = model
    for part in location:
        if current is None:
            return None
        if (field := _field(current, part)) is not None:
            current = _inner_model(field.annotation)
    return current


def _field(model: type[BaseModel], part: str | int) -> FieldInfo | None:
    """Give the field that stands in the file under this name."""
    fields = model.model_fields
    return fields.get(str(part)) or next(
        (field for field in fields.values() if field.alias == part), None
    )


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _inner_model(argument)) is not None:
            return found
    return None


def _fields_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    found = _model_at(model, location)
    fields = found.model_fields.items() if found else ()
    return sorted(field.alias or name for name, field in fields)


def _description(model: type[BaseModel], location: Sequence[str | int]) -> str:
    owner = _model_at(model, location[:-1])
    field = _field(owner, location[-1]) if owner and location else None
    return (field.description if field else None) or "a value of the documented form"
