"""Fault plans: TOML texts with `[[fault]]` tables, read strictly."""

from typing import Any

from cardsim.errors import FaultPlanError
from cardsim.fault import Fault, FaultAction
from cardsim.toml_text import parse_table
from protocols.toml_lines import line_of

_FAULT_KEYS: dict[str, type] = {
    "action": str,
    "command": str,
    "ordinal": int,
    "every": bool,
    "status_word": str,
    "data": str,
    "count": int,
    "delay_ms": int,
    "jitter_ms": int,
    "tag": str,
    "state": str,
    "probability": float,
    "seed": int,
    "stream": str,
}
_PLAN_KEYS = frozenset(("seed", "stream", "fault"))
_ACTIONS = {action.value: action for action in FaultAction}


def parse_faults(text: str, where: str) -> tuple[Fault, ...]:
    """Give the faults of a TOML text with `[[fault]]` tables; FaultPlanError with `where:line:`.

    `seed` and `stream` before the tables hold for all faults that do not give their own.

    >>> parse_faults('[[fault]]\\naction = "mute"\\ncommand = "GENERATE_AC"\\n', "plan")[0].action
    <FaultAction.MUTE: 'mute'>
    """
    table = parse_table(text, where, FaultPlanError)
    entries = table.get("fault", [])
    if set(table) - _PLAN_KEYS or not isinstance(entries, list):
        raise FaultPlanError(f"{where}:1: only seed, stream and [[fault]] tables may stand here.")
    shared: dict[str, Any] = {name: table[name] for name in ("seed", "stream") if name in table}
    faults = []
    for index, entry in enumerate(entries):
        place = f"{where}:{line_of(text, ('fault', index))}:"
        if not isinstance(entry, dict):
            raise FaultPlanError(f"{place} a [[fault]] table must stand here.")
        faults.append(parse_fault({**shared, **entry}, place))
    return tuple(faults)


def parse_fault(entry: dict[str, Any], place: str) -> Fault:
    """Give the fault of one table; FaultPlanError beginning with `place`."""
    for key, value in entry.items():
        if key not in _FAULT_KEYS:
            raise FaultPlanError(f"{place} unknown key {key!r}.")
        kind = _FAULT_KEYS[key]
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise FaultPlanError(f"{place} {key} must be of type {kind.__name__}.")
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
