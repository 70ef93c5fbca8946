"""`lumbung explain`, `diff` and `spec`, as somebody new uses them: wrong input and its answer."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lumbung.commands.messages import diff, explain, spec_check, spec_doctor

ECHO = (
    "080082200000008000000400000000000000" + "0105011407" + "000001" + "3132343030303137" + "0301"
)
LINE = "002b" + "6000010000" + ECHO


@pytest.mark.parametrize(
    ("command", "arguments", "code", "said"),
    [
        (explain, ["zz"], 2, "neither hexadecimal digits in pairs nor a file"),
        (explain, [""], 1, "the message ends inside it"),
        (explain, [ECHO, "--spec", "nope"], 2, "give one of bank, edc, iso03, iso87, iso93"),
        (explain, [ECHO[:-2]], 1, "stopped: element 70"),
        (diff, ["08", ECHO], 2, "no edc message: mti at byte 1"),
        (diff, [ECHO, ECHO], 0, "no difference"),
        (diff, [ECHO, ECHO.replace("000001", "000002")], 1, "11"),
        (spec_check, ["nowhere.toml"], 2, "Invalid value for NAME: no specification"),
        (spec_check, ["edc"], 0, "every example encodes and decodes"),
        (spec_doctor, [LINE], 1, "edc      fits without the first 7 bytes: length header and TPDU"),
        (spec_doctor, [LINE[4:]], 1, "edc      fits without the first 5 bytes: TPDU"),
        (spec_doctor, [ECHO], 0, "edc      fits"),
        (spec_doctor, ["ff" * 30], 1, "stops after 0"),
    ],
)
def test_command_says_what_is_wrong_and_leaves_with_its_code(
    command: click.Command, arguments: list[str], code: int, said: str
) -> None:
    done = CliRunner().invoke(command, arguments)
    assert (done.exit_code, done.exception is None or code > 0) == (code, True)
    assert said in done.output
    assert "Traceback" not in done.output


def test_spec_check_says_the_code_the_file_and_the_line_of_each_fault(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[spec]\nname = "mine"\nextends = "iso87"\ntitel = "x"\n', "utf-8")
    done = CliRunner().invoke(spec_check, [str(path)])
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines
    assert all(line.startswith(f"E-PR-0102 {path}:") for line in lines)
    shown = json.loads(CliRunner().invoke(spec_check, [str(path), "--json"]).output)
    assert (shown["valid"], shown["code"]) == (False, "E-PR-0102")
    assert [f"E-PR-0102 {fault}" for fault in shown["faults"]] == lines


def test_spec_doctor_as_json_has_its_hints() -> None:
    shown = json.loads(CliRunner().invoke(spec_doctor, [LINE, "--json"]).output)
    assert shown["hints"] == ["edc      fits without the first 7 bytes: length header and TPDU"]
    assert len(shown["specs"]) == 5
