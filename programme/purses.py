"""Which shops may be paid from which purse: the food rule that the ledger itself keeps."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from programme.registry_port import MerchantView


@dataclass(frozen=True, slots=True, kw_only=True)
class PurseRule:
    """One purse of `purses.toml`."""

    number: int
    name_id: str
    name_en: str
    always: frozenset[str]
    conditional: frozenset[str]
    source: str

    def admits(self, merchant: MerchantView) -> bool:
        """Give whether a shop may have a payable account in this purse (decisions 3, 12).

        It must be designated (art. 1 no. 19). Suspension does not matter here: it is registry
        state, and what was sold before it is still owed (decision 4).
        """
        if not merchant.designated:
            return False
        if merchant.category in self.always:
            return True
        return (
            merchant.category in self.conditional
            and merchant.category in merchant.conditional_categories
        )


@cache
def purse_rules() -> dict[int, PurseRule]:
    """Give the rules by ledger number."""
    table = tomllib.loads(files("programme").joinpath("purses.toml").read_text("utf-8"))
    rules = (
        PurseRule(
            **{
                **entry,
                "always": frozenset(entry["always"]),
                "conditional": frozenset(entry["conditional"]),
            }
        )
        for entry in table.values()
    )
    return {rule.number: rule for rule in rules}
