"""What a process did to its ledger's directory, and every disk that a power cut could have left.

`ledger_recorder.c`, loaded into the process, notes each write, sync and change of a name in order,
and each acknowledgement between them. Replayed on a `SimulatedDisk` up to any entry, it gives the
disk of that moment with what was durable and what was not.
"""

import os
import random
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.test_ledger.ledger_disk import SimulatedDisk

SOURCE = Path(__file__).with_name("ledger_recorder.c")
_HEAD = struct.Struct("<BBQQ")


@dataclass(frozen=True)
class Entry:
    """One thing that the process did."""

    kind: str
    name: str
    offset: int
    data: bytes


def build_recorder(directory: Path) -> Path:
    """Compile the recorder; give the library."""
    library = directory / "recorder.so"
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library


def recorded(library: Path, directory: Path, trace: Path) -> dict[str, str]:
    """Give the environment in which a process is recorded; it acknowledges on standard output."""
    return {
        **os.environ,
        "LD_PRELOAD": str(library),
        "RECORDER_DIRECTORY": str(directory),
        "RECORDER_TRACE": str(trace),
        "RECORDER_ACKNOWLEDGEMENTS": "1",
    }


def read_trace(trace: Path) -> list[Entry]:
    """Give the entries in order; a last one that a kill cut off is left out."""
    content, at, entries = trace.read_bytes(), 0, []
    while at + _HEAD.size <= len(content):
        kind, name_bytes, offset, length = _HEAD.unpack_from(content, at)
        start = at + _HEAD.size + name_bytes
        if start + length > len(content):
            break
        name = content[at + _HEAD.size : start].decode()
        entries.append(Entry(chr(kind), name, offset, content[start : start + length]))
        at = start + length
    return entries


def replay(disk: SimulatedDisk, entry: Entry) -> list[int]:
    """Do what the process did; give the ids that it acknowledged by it."""
    name = entry.name
    if entry.kind == "a":
        return [int(line) for line in entry.data.splitlines() if line.isdigit()]
    if entry.kind == "c":
        disk.create_zeroed(name, 0)
    elif entry.kind == "w":
        disk.write(name, entry.offset, entry.data)
    elif entry.kind == "t":
        assert entry.offset >= disk.size(name), "the ledger makes no file shorter"
        disk.write(name, entry.offset, b"")
    elif entry.kind == "s":
        disk.sync(name)
    elif entry.kind == "d":
        disk.sync_directory()
    elif entry.kind == "r":
        disk.rename(name, entry.data.decode())
    else:
        assert entry.kind == "u", f"an entry of another kind: {entry.kind}"
        disk.remove(name)
    return []


def new_disk(seed: int) -> SimulatedDisk:
    """Give an empty disk."""
    return SimulatedDisk(random.Random(seed))
