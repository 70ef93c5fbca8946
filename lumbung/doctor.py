"""`lumbung doctor`: what this machine has, what is missing, and the fix for each.

A check is a function that returns findings; nothing is changed and nothing is sent anywhere.
"""

import importlib
import os
import platform
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lumbung.services import services

#: Above this a purchase waits longer for the disk than for everything else together.
DISK_SYNC_SLOW_MS = 5.0
DEFAULT_SWITCH_PORT = 8583


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's page. `state` is ok, note (works, less well) or fault."""

    subject: str
    state: str
    what: str
    fix: str = ""


def examine(directory: Path) -> list[Finding]:
    """Give every finding for this machine and this data directory's disk."""
    return [
        _python(),
        _cores(),
        *_native(),
        _packages(),
        *_services(),
        _readers(),
        _serial_ports(),
        _slip_pictures(),
        _disk(directory),
        _port(DEFAULT_SWITCH_PORT),
    ]


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < (3, 11):
        return Finding("python", "fault", version, "Install Python 3.11 or newer.")
    if not __debug__:
        return Finding(
            "python",
            "fault",
            f"{version} with asserts disabled",
            "Run without -O / PYTHONOPTIMIZE.",
        )
    return Finding("python", "ok", f"{version} on {platform.system()} {platform.machine()}")


def _cores() -> Finding:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if (count or 1) < 2:
        return Finding(
            "cores", "note", "1", "Two cores let the ledger's disk wait beside the switch."
        )
    return Finding("cores", "ok", str(count))


def native_cores() -> dict[str, bool]:
    """Give which native cores are importable: {"ledger": ..., "protocols": ..., "switch": ...}."""
    found = {}
    for package in ("ledger", "protocols", "switch"):
        try:
            importlib.import_module(f"{package}._core")
            found[package] = True
        except ImportError:
            found[package] = False
    return found


def _native() -> Iterator[Finding]:
    for package, present in native_cores().items():
        if present:
            yield Finding(f"native {package}", "ok", f"{package}._core")
        else:
            state = "fault" if os.environ.get("LUMBUNG_REQUIRE_NATIVE") == "1" else "note"
            yield Finding(
                f"native {package}", state, "not built: the pure-Python twin runs",
                "Install a Rust tool-chain (rustup or apt-get install cargo), then: make setup",
            )  # fmt: skip


def _packages() -> Finding:
    """Check that no other project's package hides one of ours (the names are common words)."""
    home = Path(__file__).resolve().parent.parent
    for name in ("terminal", "switch", "programme", "ledger", "cardsim", "protocols"):
        module = importlib.import_module(name)
        if not Path(str(module.__file__)).resolve().is_relative_to(home):
            return Finding(
                "packages", "fault", f"`import {name}` finds another project's package",
                "Install lumbung in a virtual environment of its own.",
            )  # fmt: skip
    return Finding("packages", "ok", "all our own")


def _services() -> Iterator[Finding]:
    for service in services().values():
        missing = service.missing()
        if missing:
            yield Finding(
                service.name, "note", f"{missing} ({service.purpose})", service.install_line
            )
        else:
            yield Finding(service.name, "ok", service.purpose)


def _readers() -> Finding:
    try:
        scard = importlib.import_module("smartcard.scard")
    except ImportError:
        return Finding(
            "card readers", "note", "pyscard is not installed: virtual cards only",
            "pip install 'lumbung[pcsc]' (needs a C compiler and libpcsclite-dev)",
        )  # fmt: skip
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if result != scard.SCARD_S_SUCCESS:
        return Finding("card readers", "note", "pcscd does not answer", "Start pcscd.")
    try:
        result, readers = scard.SCardListReaders(context, [])
    finally:
        scard.SCardReleaseContext(context)
    if result != scard.SCARD_S_SUCCESS or not readers:
        return Finding("card readers", "note", "no reader", "Plug one in, or use virtual cards.")
    return Finding("card readers", "ok", ", ".join(readers))


def _serial_ports() -> Finding:
    from serial.tools import list_ports

    ports = sorted(port.device for port in list_ports.comports())
    if not ports:
        return Finding(
            "serial ports", "note", "none: a PIN pad, a printer and a register can be virtual only",
            "Plug an adapter in, or: lumbung printer serve --pty ./ttyPRN",
        )  # fmt: skip
    closed = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    if closed:
        return Finding(
            "serial ports", "note", f"{', '.join(closed)}: this user may not open",
            "sudo usermod -aG dialout $USER, then log in again.",
        )  # fmt: skip
    return Finding("serial ports", "ok", ", ".join(ports))


def _slip_pictures() -> Finding:
    from lumbung.printer.drawing import has_font, has_pillow

    if not has_pillow():
        return Finding(
            "slip pictures", "note", "no Pillow: the virtual printer gives text and SVG, no PNG",
            "pip install 'lumbung[printer]'",
        )  # fmt: skip
    font = "DejaVu Sans Mono" if has_font() else "Pillow's own font (DejaVu Sans Mono is not here)"
    return Finding("slip pictures", "ok", f"PNG with {font}")


def disk_sync_ms(directory: Path, rounds: int = 25) -> float:
    """Give the median time of writing 4 KiB and syncing it, in milliseconds.

    Raises OSError when the directory cannot be written.
    """
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(4096 * rounds))
        file.flush()
        os.fsync(file.fileno())
        for block in range(rounds):
            start = time.perf_counter()
            os.pwrite(file.fileno(), b"\x55" * 4096, block * 4096)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - start) * 1e3)
    return median(times)


def _disk(directory: Path) -> Finding:
    try:
        sync_ms = disk_sync_ms(directory)
    except OSError as error:
        return Finding(
            "disk", "fault", f"{directory}: cannot be written ({error.strerror})",
            "Make it writable, or give --data a directory on another disk.",
        )  # fmt: skip
    free_mb = _free_mb(directory)
    if free_mb < 512:
        return Finding("disk", "fault", f"{free_mb} MB free in {directory}", "Free some room.")
    what = f"{sync_ms:.2f} ms to write and sync 4 KiB, {free_mb / 1024:.0f} GB free in {directory}"
    if sync_ms > DISK_SYNC_SLOW_MS:
        return Finding(
            "disk", "note", what, "Use a disk that syncs faster; every sale waits for it."
        )
    return Finding("disk", "ok", what)


def _free_mb(directory: Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize // (1 << 20)


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return Finding(
                "port",
                "note",
                f"127.0.0.1:{port} is taken",
                "lumbung switch run --port 0 finds another.",
            )
    return Finding("port", "ok", f"127.0.0.1:{port} is free")
