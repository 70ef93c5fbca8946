"""Policy as data: the limits that a city or a central bank sets, from `policy.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from protocols.values import SEN_PER_RUPIAH


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Amounts in sen. `card_ceiling_sen` is the most a card may hold (R17)."""

    card_ceiling_sen: int
    print_cost_sen: int


@cache
def policy() -> Policy:
    """Give the policy in force."""
    table = tomllib.loads(files("programme").joinpath("policy.toml").read_text("utf-8"))
    return Policy(
        card_ceiling_sen=table["card_ceiling"]["rupiah"] * SEN_PER_RUPIAH,
        print_cost_sen=table["print_cost"]["rupiah"] * SEN_PER_RUPIAH,
    )
