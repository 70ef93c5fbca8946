"""docs/guides/iso8583-and-de55.md: its message adds up, and its commands say what it shows."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from lumbung.commands.messages import explain
from protocols.emv import tlv
from protocols.iso8583 import Codec, load_spec

GUIDE = (
    Path(__file__).parents[2].joinpath("docs", "guides", "iso8583-and-de55.md").read_text("utf-8")
)
(HEX,) = (bytes.fromhex(block) for block in re.findall(r"```hex\n(.*?)```", GUIDE, re.S))
PARTS, TAGS = re.findall(r"```text\n(.*?)```", GUIDE, re.S)
SHOWN = re.findall(r"```\n\$ lumbung explain (\w+\.hex) --spec bank\n(.*?)```", GUIDE, re.S)


def test_tutorial_takes_the_message_apart_without_a_byte_left() -> None:
    parts = [line.split()[0] for line in PARTS.splitlines() if not line.startswith(" ")]
    assert "".join(parts).encode() == HEX
    lazy = Codec(load_spec("bank")).decode_lazy(HEX)
    assert [part.encode() for part in parts[2:]] == [lazy.wire(number) for number in lazy]
    numbers = [int(number) for number in re.findall(r"  (\d+): ", PARTS)]
    assert numbers == list(lazy)
    assert parts[-1].startswith("054")


def test_tutorial_takes_element_55_apart() -> None:
    written = "".join(re.split(r" {2,}", line)[0].replace(" ", "") for line in TAGS.splitlines())
    assert tlv.parse_flat(bytes.fromhex(written)) == Codec(load_spec("bank")).decode(HEX)[55]


@pytest.mark.parametrize(("name", "output"), SHOWN)
def test_tutorial_command_says_what_the_tutorial_says(
    name: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "purchase.hex").write_text(HEX.hex(), "utf-8")
    (tmp_path / "cut.hex").write_text(HEX.hex()[:-4], "utf-8")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(explain, [name, "--spec", "bank"]).output == output


def test_tutorial_shows_two_commands_and_a_program_that_runs() -> None:
    assert [name for name, _ in SHOWN] == ["purchase.hex", "cut.hex"]
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    names: dict[str, object] = {"raw": HEX, "keys": {}}
    exec(compile(program, "tutorial", "exec"), names)
    assert str(names["got"]).startswith("Received(")
    assert repr(names["head"]) == repr(names["codec"].peek(HEX, (3, 11, 41)))  # type: ignore[attr-defined]
