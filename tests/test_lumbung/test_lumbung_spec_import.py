"""`lumbung spec import` on small files: what goes where, and with which exit code."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lumbung.commands.messages import spec_check
from lumbung.commands.spec_import import spec_import
from protocols.iso8583.importers import SpecImportError

PACKAGER = """<isopackager>
  <isofield id="0" length="4" name="Type" class="org.jpos.iso.IFA_NUMERIC"/>
  <isofield id="3" length="6" name="Code" class="org.jpos.iso.IFA_NUMERIC"/>
  <isofield id="28" length="9" name="None" class="org.jpos.iso.IF_NOP"/>
</isopackager>
"""


def test_spec_import_writes_a_file_that_spec_check_accepts(tmp_path: Path) -> None:
    source = tmp_path / "My Host.xml"
    source.write_text(PACKAGER, "utf-8")
    done = CliRunner().invoke(spec_import, [str(source)])
    assert done.exit_code == 0
    assert "not taken over as it was: 28: the packager puts nothing" in done.stderr
    assert 'name = "my-host"' in done.stdout
    target = tmp_path / "my-host.toml"
    target.write_text(done.stdout, "utf-8")
    checked = CliRunner().invoke(spec_check, [str(target)])
    assert checked.output.startswith("my-host: 1 elements")


def test_spec_import_with_json_gives_one_object(tmp_path: Path) -> None:
    source = tmp_path / "packager.xml"
    source.write_text(PACKAGER, "utf-8")
    done = CliRunner().invoke(spec_import, [str(source), "--name", "other", "--json"])
    values = json.loads(done.stdout)
    assert values["elements"] == 1
    assert values["left_out"][0]["path"] == "28"
    assert 'name = "other"' in values["toml"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"<isopackager/>"])
def test_spec_import_of_no_specification_names_the_file(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "bad.xml"
    source.write_bytes(content)
    done = CliRunner().invoke(spec_import, [str(source)])
    assert isinstance(done.exception, SpecImportError)
    assert str(source) in str(done.exception)
