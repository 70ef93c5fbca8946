"""Whatever is wrong in one line of a rule file or of switch.toml is told with its line."""

import random
import re
from collections.abc import Callable
from importlib.resources import files

import pytest

from protocols.errors import ConfigurationError
from switch.config import SwitchConfig
from switch.rules import parse_rules
from switch.toml_model import parse_model

RULES = files("switch").joinpath("data/rules.toml").read_text("utf-8")
SWITCH = """\
node = "lumbung-1"
accept_lost_state = false
[listen]
port = 8583
spec = "edc"
host = "127.0.0.1"
[connections]
maximum = 20_000
idle_seconds = 300.0
[terminals]
per_second = 200.0
[journal]
enabled = true
segments = 16
[business_day]
cut_over = 23:00:00
[keys]
pin_verification = "pvk"
[[links]]
name = "concentrator"
spec = "bank"
persistent = false
port = 8590
[[hosts]]
name = "bank"
host = "127.0.0.1"
port = 9000
keys = [7, 11, 32, 37]
window = 32
"""
WRONG = (
    '"x"', "-1", "0", "1.5", "true", "[]", "{}", "9" * 20, "9" * 5_000, "2020-13-01", "25:00:00",
    '["01", 2]', "", '"', "\x00", "[[", "nan", "inf", "1_", "{a = 1}", "[" * 3_000,
)  # fmt: skip


def parse_switch(text: str) -> None:
    parse_model(text, "switch.toml", SwitchConfig)


def why_not(parse: Callable[[str], object], text: str) -> str:
    """Give what the reader says of a faulty file, empty when it takes it."""
    try:
        parse(text)
    except ConfigurationError as error:
        return error.external
    return ""


def faulty_lines(line: str, chance: random.Random) -> list[str]:
    """Give what may stand instead of a line: other values, twice, cut, misspelled, nothing."""
    key, equals, _ = line.partition("=")
    if not equals:
        return [f"{line}\n{line}", line[:-1], f"[{line}", "[nonsense]", ""]
    values = chance.sample(WRONG, 5)
    return [*(f"{key}= {v}" for v in values), f"{line}\n{line}", f"zz_{line}", key, ""]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "parse"),
    [(RULES, lambda text: parse_rules(text, "rules.toml")), (SWITCH, parse_switch)],
    ids=["rules", "switch"],
)
def test_file_with_one_faulty_line_is_told_with_a_line_or_is_valid(text, parse):
    chance, lines, told = random.Random(7), text.splitlines(), 0
    parse(text)
    for number, line in enumerate(lines):
        if not line.strip() or line.startswith("#"):
            continue
        for faulty in faulty_lines(line, chance):
            changed = "\n".join([*lines[:number], faulty, *lines[number + 1 :]]) + "\n"
            why = why_not(parse, changed)
            if why:
                told += 1
                named = [int(found) for found in re.findall(r"\.toml:(\d+): ", why)]
                assert named, f"line {number + 1} as {faulty[:40]!r}: {why[:200]}"
                assert all(0 < one <= changed.count("\n") + 1 for one in named)
    assert told > 6 * len(re.findall(r"^\w+ = ", text, re.M))


@pytest.mark.parametrize(
    "value", ["0", "1_700_000_000", '"2025-09-23"', "2025-09-23T00:00:00", "true"]
)
def test_day_that_is_no_day_is_refused_and_not_converted(value):
    wrong = RULES.replace("starts_on = 2025-09-23", f"starts_on = {value}", 1)
    with pytest.raises(ConfigurationError, match=r"rules\.toml:12: .*starts_on"):
        parse_rules(wrong, "rules.toml")


@pytest.mark.parametrize("value", ["[" * 3_000, "9" * 5_000])
def test_value_that_no_reader_takes_is_told_with_its_line(value):
    with pytest.raises(ConfigurationError, match=r"switch\.toml:2: file: a value too deep"):
        parse_switch(SWITCH.replace("accept_lost_state = false", f"accept_lost_state = {value}"))
