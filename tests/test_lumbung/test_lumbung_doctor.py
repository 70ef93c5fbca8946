"""The doctor: every fault has its fix, and nothing on the machine changes."""

from pathlib import Path

import pytest

from lumbung import doctor
from lumbung.services import services


def test_examine_names_every_subject_and_a_fix_for_all_that_is_not_ok(tmp_path: Path) -> None:
    findings = doctor.examine(tmp_path)
    subjects = {finding.subject for finding in findings}
    assert {"python", "cores", "native ledger", "card readers", "disk", "port"} <= subjects
    assert set(services()) <= subjects
    assert all(finding.fix for finding in findings if finding.state != "ok")
    assert not list(tmp_path.iterdir())


def test_examine_missing_directory_is_a_fault_with_its_reason(tmp_path: Path) -> None:
    found = {f.subject: f for f in doctor.examine(tmp_path / "absent")}["disk"]
    assert found.state == "fault"
    assert "No such file" in found.what


def test_native_core_missing_where_it_is_required_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LUMBUNG_REQUIRE_NATIVE", "1")
    monkeypatch.setattr(doctor, "native_cores", lambda: {"ledger": False, "protocols": True})
    found = {f.subject: f for f in doctor.examine(tmp_path)}
    assert found["native ledger"].state == "fault"
    assert found["native protocols"].state == "ok"


def test_port_that_is_taken_is_a_note_with_another_way() -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        found = doctor._port(holder.getsockname()[1])
    assert found.state == "note"
    assert "--port 0" in found.fix


def test_serial_port_that_this_user_may_not_open_is_a_note_with_its_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from serial.tools import list_ports
    from serial.tools.list_ports_common import ListPortInfo

    def subject() -> doctor.Finding:
        return {f.subject: f for f in doctor.examine(tmp_path)}["serial ports"]

    monkeypatch.setattr(list_ports, "comports", list)
    assert (subject().state, "printer serve" in subject().fix) == ("note", True)
    port = tmp_path / "ttyUSB0"
    port.touch()
    monkeypatch.setattr(list_ports, "comports", lambda: [ListPortInfo(str(port))])
    assert (subject().state, subject().what) == ("ok", str(port))
    monkeypatch.setattr(doctor.os, "access", lambda _path, _mode: False)
    assert "dialout" in subject().fix
