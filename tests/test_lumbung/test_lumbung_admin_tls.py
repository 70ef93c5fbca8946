"""The administration interface over TLS, as a process that clients meet on a socket."""

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from switch.config import TlsConfig
from tests.test_switch.switch_authority import Authority

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lumbung", "programme", *arguments]


def lumbung(*arguments: str) -> Any:
    done = subprocess.run(command(*arguments, "--json"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("city"), "city")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUMBUNG_MASTER_KEY", "5a" * 32)
        found = tmp_path_factory.mktemp("office") / "data"
        lumbung("init", str(found), "--officer", "dinsos:dinsos-01")
        yield found


@pytest.fixture(scope="module")
def served(root: Path, authority: Authority) -> Iterator[tuple[str, str]]:
    """Give the address of a server with a certificate, and a token."""
    made = lumbung("token", "new", "--bearer", "auditor:a-01", "--officer", "operator:op-01",
                   "--data", str(root))  # fmt: skip
    own = authority.issue("office")
    wanted = command("serve", str(root), "--port", "0", "--certificate", str(own.certificate),
                     "--key", str(own.key), "--allow-host", "kartu.test", "--json")  # fmt: skip
    with subprocess.Popen(wanted, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["listening"], made["secret"]
        process.terminate()
        assert process.wait(timeout=20) == 0


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.path))


def test_call_over_tls_is_answered_to_who_trusts_the_authority(
    served: tuple[str, str], authority: Authority
) -> None:
    at, secret = served
    assert at.startswith("https://127.0.0.1:")
    with httpx.Client(base_url=at, verify=trusting(authority)) as client:
        bearer = {"Authorization": f"Bearer {secret}"}
        answer = client.get("/cards", headers=bearer)
        assert (answer.status_code, answer.json()["cards"]) == (200, [])
        assert client.get("/cards").status_code == 401
        named = client.get("/cards", headers={**bearer, "Host": "kartu.test"})
        assert named.status_code == 200
        evil = client.get("/cards", headers={**bearer, "Host": "evil.test"})
        assert (evil.status_code, evil.json()["error"]["code"]) == (421, "E-PG-0502")


def test_client_that_trusts_another_authority_sends_no_token(
    served: tuple[str, str], tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    with (
        httpx.Client(base_url=served[0], verify=trusting(stranger)) as client,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.get("/cards", headers={"Authorization": f"Bearer {served[1]}"})


def test_plain_http_and_old_tls_get_no_answer(
    served: tuple[str, str], authority: Authority
) -> None:
    host, port = served[0].removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(b"GET /cards HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert not line.recv(100).startswith(b"HTTP/")
    old = trusting(authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((host, int(port)), timeout=10) as line,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(line, server_hostname=host)


@pytest.mark.parametrize("wrong", ["exchanged", "missing", "no certificate", "one alone"])
def test_unfit_certificate_is_one_clear_error(
    root: Path, authority: Authority, tmp_path: Path, wrong: str
) -> None:
    own = authority.issue(wrong.replace(" ", "-"))
    other = authority.issue("other")
    files = {
        "exchanged": TlsConfig(certificate=own.certificate, key=other.key),
        "missing": TlsConfig(certificate=tmp_path / "none.pem", key=own.key),
        "no certificate": TlsConfig(certificate=own.key, key=own.key),
        "one alone": own,
    }[wrong]
    asked = ["serve", str(root), "--port", "0", "--certificate", str(files.certificate)]
    asked += [] if wrong == "one alone" else ["--key", str(files.key)]
    done = subprocess.run(command(*asked), capture_output=True, text=True, timeout=60)
    assert done.returncode == (2 if wrong == "one alone" else 1), done
    assert "Traceback" not in done.stderr
    assert "TLS" in done.stderr


def test_address_beyond_loopback_without_a_certificate_is_refused(root: Path) -> None:
    asked = command("serve", str(root), "--host", "0.0.0.0", "--port", "0")
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--certificate" in done.stderr
