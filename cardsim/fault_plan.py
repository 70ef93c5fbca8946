"""Fault plans: TOML texts with `[[fault]]` tables, read strictly."""

import tomllib
from typing import Any

from cardsim.errors import FaultPlanError
from cardsim.fault import Fault, FaultAction
from protocols.toml_lines import line_of, line_of_error

_FAULT_KEYS = frozenset(
    (
        "action",
        "command",
        "ordinal",
        "every",
        "status_word",
        "data",
        "count",
        "delay_ms",
        "jitter_ms",
        "tag",
        "state",
        "probability",
        "seed",
        "stream",
    )
)
_PLAN_KEYS = frozenset(("seed", "stream", "fault"))
_ACTIONS = {action.value: action for action in FaultAction}


def parse_faults(text: str, where: str) -> tuple[Fault, ...]:
    """Give the faults of a TOML text with `[[fault]]` tables; FaultPlanError with `where:line:`.

    `seed` and `stream` before the tables hold for all faults that do not give their own.

    >>> parse_faults('[[fault]]\\naction = "mute"\\ncommand = "GENERATE_AC"\\n', "plan")[0].action
    <FaultAction.MUTE: 'mute'>
    """
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise FaultPlanError(f"{where}:1: no TOML that a person writes: nested too deep.") from None
    except tomllib.TOMLDecodeError as error:
        raise FaultPlanError(f"{where}:{line_of_error(error)}: no TOML: {error}") from None
    entries = table.get("fault", [])
    if set(table) - _PLAN_KEYS or not isinstance(entries, list):
        raise FaultPlanError(f"{where}:1: only seed, stream and [[fault]] tables may stand here.")
    shared: dict[str, Any] = {name: table[name] for name in ("seed", "stream") if name in table}
    return tuple(
        parse_fault({**shared, **entry}, f"{where}:{line_of(text, ('fault', index))}:")
        for index, entry in enumerate(entries)
    )


def parse_fault(entry: dict[str, Any], place: str) -> Fault:
    """Give the fault of one table; FaultPlanError beginning with `place`."""
    if unknown := set(entry) - _FAULT_KEYS:
        raise FaultPlanError(f"{place} unknown key {min(unknown)!r}.")
    if entry.get("action") not in _ACTIONS:
        raise FaultPlanError(f"{place} action is one of {', '.join(_ACTIONS)}.")
    fields: dict[str, Any] = {**entry, "action": _ACTIONS[entry["action"]]}
    try:
        if "status_word" in fields:
            fields["status_word"] = int(fields["status_word"], 16)
        if "data" in fields:
            fields["data"] = bytes.fromhex(fields["data"])
        return Fault(**fields)
    except (TypeError, ValueError):
        raise FaultPlanError(f"{place} a value has the wrong form.") from None
    except FaultPlanError as error:
        raise FaultPlanError(f"{place} {error.external}") from None
