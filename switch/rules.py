"""The rules as values: loaded from TOML, versioned, each with its legal basis and its dates (R42).

A decision carries a `RuleReference`, so that an auditor reads which article refused a purchase. A
file may hold versions that begin later: the book of a business date has those in force on it.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

from protocols.errors import ConfigurationError
from protocols.refusals import Refusal
from protocols.toml_lines import line_of
from switch.rule_models import Rule, RuleFile, Rules, rule_id_of
from switch.toml_model import parse_model, read_text


@dataclass(frozen=True, slots=True)
class RuleReference:
    """Which rule decided: id, version and legal basis."""

    rule_id: str
    version: int
    legal_basis: str

    def refuse(self, code: str, reason: str = "") -> Refusal:
        """Give the refusal of this rule; its evidence names the rule and the law.

        >>> RuleReference("food-only", 1, "art. 12(3)").refuse("58", "P01").evidence
        'food-only/1: art. 12(3)'
        """
        return Refusal(code, reason, self.evidence)

    @property
    def evidence(self) -> str:
        """Give what the log says of the rule."""
        return f"{self.rule_id}/{self.version}: {self.legal_basis}"


class Food(StrEnum):
    """Whether a category sells food."""

    YES = "yes"
    CONDITIONAL = "conditional"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Category:
    """A merchant category of our registry."""

    code: str
    name: str
    food: Food
    reason: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules of one version of the file, those of one day ready for the pipeline."""

    version: str
    rules: Rules
    categories: dict[str, Category]
    references: dict[str, RuleReference]
    #: Every version of each rule by its field name.
    versions: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    #: The judgement of the day that was asked for last.
    _judged: dict[date, str | None] = field(default_factory=dict, init=False, compare=False)

    def refuse(self, rule_id: str, code: str, reason: str = "") -> Refusal:
        """Give the refusal of the rule with this id."""
        return self.references[rule_id].refuse(code, reason)

    def on(self, day: date) -> "RuleBook":
        """Give the book of a business date: of each rule the version in force.

        A rule without one keeps its last version: an optional one is then not enabled, any other
        stops the sales (`missing_on`).
        """
        chosen = {name: _chosen(versions, day) for name, versions in self.versions.items()}
        return _book(self.version, self.categories, self.versions, chosen)

    def missing_on(self, day: date) -> str | None:
        """Give the id of a rule that is not in force on this day, None when all are.

        A purchase on such a day is refused: without the rule nothing says that it is lawful.
        """
        if day not in self._judged:
            self._judged.clear()
            self._judged[day] = next(
                (
                    rule_id
                    for rule_id, rule in self._by_id()
                    if not (rule.optional or rule.in_force(day))
                ),
                None,
            )
        return self._judged[day]

    def _by_id(self) -> Iterator[tuple[str, Rule]]:
        for rule_id in self.references:
            yield rule_id, getattr(self.rules, rule_id.replace("-", "_"))


def load_rules(path: Path | None = None) -> RuleBook:
    """Give the rules of a file, or the built-in ones; raise ConfigurationError with every fault.

    The book is that of the latest versions; `RuleBook.on` gives that of a day.
    """
    if path is None:
        return _built_in_rules()
    return parse_rules(read_text(path), str(path))


@cache
def _built_in_rules() -> RuleBook:
    text = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    return parse_rules(text, "switch/data/rules.toml")


def parse_rules(text: str, name: str) -> RuleBook:
    """Give the rules of a text; raise ConfigurationError with every fault, as `name:line: ...`."""
    parsed = parse_model(text, name, RuleFile)
    versions = dict(parsed.versions())
    faults = [
        fault
        for field_name in versions
        for fault in _overlaps(text, name, field_name, versions[field_name])
    ]
    if faults:
        raise ConfigurationError("\n".join(faults))
    latest = {
        field_name: max(found, key=lambda rule: rule.starts_on)
        for field_name, found in versions.items()
    }
    return _book(parsed.version, load_categories(), versions, latest)


def _overlaps(text: str, name: str, field_name: str, versions: tuple[Rule, ...]) -> Iterator[str]:
    rule_id = rule_id_of(field_name)
    for (_, one), (index, other) in combinations(enumerate(versions), 2):
        line = line_of(text, ("rule", rule_id, index, "starts_on"))
        if one.version == other.version:
            line = line_of(text, ("rule", rule_id, index, "version"))
            yield (
                f"{name}:{line}: rule.{rule_id}.{index}.version: double - allowed: each number once"
                " - raise it."
            )
        first, second = sorted((one, other), key=lambda rule: rule.starts_on)
        if first.in_force(second.starts_on):
            yield (
                f"{name}:{line}: rule.{rule_id}.{index}.starts_on: two versions on "
                f"{second.starts_on} - allowed: one a day - end version {first.version} before."
            )


def _chosen(versions: tuple[Rule, ...], day: date) -> Rule:
    found = next((rule for rule in versions if rule.in_force(day)), None)
    if found is not None:
        return found
    latest = max(versions, key=lambda rule: rule.starts_on)
    return latest.model_copy(update={"enabled": False}) if latest.optional else latest


def _book(
    version: str,
    categories: dict[str, Category],
    versions: dict[str, tuple[Rule, ...]],
    chosen: dict[str, Rule],
) -> RuleBook:
    fields: dict[str, Any] = dict(chosen)
    rules = Rules.model_construct(**fields)
    references = {
        rule_id_of(name): RuleReference(rule_id_of(name), rule.version, rule.legal_basis)
        for name, rule in chosen.items()
    }
    return RuleBook(version, rules, categories, references, versions)


def load_categories() -> dict[str, Category]:
    """Give the built-in categories by code; raise ConfigurationError when a row is wrong."""
    text = files("switch").joinpath("data/categories.csv").read_text("utf-8")
    return parse_categories(text, "switch/data/categories.csv")


def parse_categories(text: str, name: str) -> dict[str, Category]:
    """Give the categories of a CSV text with columns code, name, food, reason, source."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    expected = ["code", "name", "food", "reason", "source"]
    if reader.fieldnames != expected:
        raise ConfigurationError(
            f"{name}:1: header: wrong columns - allowed: {','.join(expected)} - mend the header."
        )
    found: dict[str, Category] = {}
    for row in reader:
        where = f"{name}:{reader.line_num}"
        code, food = row["code"], row["food"]
        if not (len(code) == 4 and code.isascii() and code.isdigit()) or code in found:
            raise ConfigurationError(
                f"{where}: code: wrong or double - allowed: four digits, once - mend the row."
            )
        if food not in set(Food):
            raise ConfigurationError(
                f"{where}: food: unknown - allowed: yes, conditional, no - mend the row."
            )
        found[code] = Category(code, row["name"], Food(food), row["reason"])
    return found
