"""The catalogue of fault kinds: names for what goes wrong, with the plans that bring it about.

The data is `fault_kinds.toml`; a test plays a purchase with each kind.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from cardsim.fault import Fault
from cardsim.fault_plan import parse_fault

_FILE = "fault_kinds.toml"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault: class and name, its plan, and what our terminal makes of it.

    `profile` is a product that shows it, personalised with `content`; `terminal` the purchase's
    outcome in words, `tvr` the terminal's verification results (5 bytes, empty: nothing
    particular); `genuine` tells whether the issuer takes the cryptogram.
    """

    name: str
    kind: str
    faults: tuple[Fault, ...]
    profile: str
    terminal: str
    tvr: bytes
    genuine: bool
    content: Mapping[str, Any]


@cache
def fault_kinds() -> Mapping[str, FaultKind]:
    """Give the kinds by name.

    >>> fault_kinds()["weak key"].kind, len(fault_kinds()["weak key"].faults)
    ('security', 1)
    """
    text = files("cardsim").joinpath(_FILE).read_text("utf-8")
    return {
        name: FaultKind(
            name=name,
            kind=kind,
            faults=tuple(
                parse_fault(fault, f"fault_kinds.toml: {name}:") for fault in entry["faults"]
            ),
            profile=entry.get("profile", "ssn"),
            terminal=entry["terminal"],
            tvr=bytes.fromhex(entry.get("tvr", "")),
            genuine=entry.get("genuine", True),
            content=entry.get("content", {}),
        )
        for kind, entries in tomllib.loads(text).items()
        for name, entry in entries.items()
    }
