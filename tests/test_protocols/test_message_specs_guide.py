"""The guide's specification loads, and its commands say what the guide says they say."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from lumbung.commands.messages import explain, spec_check, spec_doctor

GUIDE = (Path(__file__).resolve().parents[2] / "docs/guides/message-specs.md").read_text("utf-8")
COMMANDS = {"spec check": spec_check, "explain": explain, "spec doctor": spec_doctor}


def shown() -> list[tuple[str, str]]:
    """Give every command of the guide with the output that stands below it."""
    blocks = re.findall(r"^```\n\$ lumbung (.*?)^```$", GUIDE, re.M | re.S)
    out = []
    for block in blocks:
        command, _, output = block.replace("\\\n   ", "").partition("\n")
        if output and not output.startswith("$"):
            out.append((command, output))
    return out


def test_guide_shows_commands_with_their_output() -> None:
    assert [command.split()[0] for command, _ in shown()] == [
        "spec", "spec", "explain", "explain", "spec",
    ]  # fmt: skip


@pytest.mark.parametrize(("command", "output"), shown())
def test_guide_command_says_what_the_guide_says(
    command: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = re.search(r"```toml\n(.*?)```", GUIDE, re.S)
    assert text is not None
    (tmp_path / "myhost.toml").write_text(text[1], "utf-8")
    (tmp_path / "broken.toml").write_text(text[1].replace("\nlen = 6", "\nlenght = 6"), "utf-8")
    monkeypatch.chdir(tmp_path)
    name = next(name for name in COMMANDS if command.startswith(name))
    done = CliRunner().invoke(COMMANDS[name], command[len(name) :].split())
    assert done.output == output
