"""`lumbung ledger prove|export|tail|inspect`: the ledger for those who do not trust it.

All of them read beside the writer and change nothing.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, Protocol, TextIO, cast

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ledger.errors import LedgerCorruptError, LedgerRollbackError
from ledger.export import FORMATS, json_lines
from ledger.files import LogFiles, open_files
from ledger.inspecting import Finding, inspect_frame, inspect_storage
from ledger.notes import cosign as cosign_note
from ledger.notes import sign_checkpoint, verifier_key
from ledger.port import Ledger
from ledger.proof_check import FILE_BYTES_MAX, ProofError, read_checkpoint
from ledger.proofs import find_transfer, prove_consistency, prove_inclusion
from ledger.storage import FileStorage
from lumbung.commands.ledger import (
    JSON_OPTION,
    HexId,
    ledger_path,
    open_for_reading,
    reading_progress,
    show_entries,
)
from lumbung.system import SystemClock
from protocols.business_time import WITA

#: A key file is some hundred bytes.
_KEY_BYTES_MAX = 16_384
#: Entries that `tail` prints between two looks at the ledger.
_TAIL_ROWS_MAX = 1_000


class _Following(Ledger, Protocol):
    def refresh(self) -> int: ...


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--id", "transfer_id", type=HexId(), help="Prove this transfer's record.")
@click.option("--consistency", type=click.IntRange(1), help="Prove growth from this tree size.")
@click.option("--size", type=click.IntRange(1), help="Against the tree of this size; else all.")
@click.option("--key", type=click.Path(path_type=Path), help="Ed25519 key (PEM) that signs.")
@click.option("--origin", help="Name that signs: this log's, or with --cosign the witness's.")
@click.option("--cosign", type=click.Path(path_type=Path), help="Checkpoint to sign as a witness.")
@JSON_OPTION
def prove(
    directory: Path,
    transfer_id: int | None,
    consistency: int | None,
    size: int | None,
    key: Path | None,
    origin: str | None,
    cosign: Path | None,
    as_json: bool,
) -> None:
    """Give a proof (JSON) that a record is in DIRECTORY's tree, or that the tree only grew.

    With --key and --origin and nothing else: the checkpoint, signed as a C2SP note. With --cosign
    too: that note with a witness's signature added, when DIRECTORY holds what it states. A
    stand-alone program checks them all: ledger/proof_check.py. A key is made by `openssl genpkey
    -algorithm ed25519 -out key.pem`.
    """
    if (transfer_id, consistency, key).count(None) != 2 or (key is None) != (origin is None):
        raise click.UsageError("give one of --id, --consistency, or --key with --origin")
    if cosign is not None and key is None:
        raise click.UsageError("--cosign needs the witness's --key and --origin")
    files = open_files(ledger_path(directory), reading_progress())
    try:
        size = _tree_size(files, size, consistency)
        if key is not None and origin is not None:
            signer = Signer(origin, _read_key(key))
            if cosign is not None:
                _show_cosigned(files, cosign, signer, as_json=as_json)
            else:
                _show_checkpoint(files, size, signer, as_json=as_json)
            return
        document = (
            _inclusion(files, transfer_id, size)
            if transfer_id is not None
            else _consistency(files, consistency or 0, size)
        )
    finally:
        files.close()
    click.echo(json.dumps(document, indent=None if as_json else 1))


def _tree_size(files: LogFiles, size: int | None, old_size: int | None) -> int:
    """Give the size of the tree that is proved; `click.BadParameter` for one that never was."""
    if size is not None and size > files.size:
        raise click.BadParameter(f"{size}: this ledger holds {files.size}", param_hint="--size")
    size = size or files.size
    if old_size is not None and old_size > size:
        text = f"{old_size}: must be 1 to {size}, the size of the tree"
        raise click.BadParameter(text, param_hint="--consistency")
    return size


def _inclusion(files: LogFiles, transfer_id: int, size: int) -> dict[str, object]:
    sequence = find_transfer(files, transfer_id, min(size, files.size))
    if not sequence:
        raise click.BadParameter(
            f"no transfer {transfer_id:032x} in the first {size} records", param_hint="--id"
        )
    proof = prove_inclusion(files, sequence, size)
    return {
        "proof": "inclusion", "ledger": files.uuid.hex(), "id": f"{transfer_id:032x}",
        "index": proof.index, "size": proof.size, "leaf": proof.leaf.hex(),
        "path": [node.hex() for node in proof.path], "root_hash": proof.root.hex(),
    }  # fmt: skip


def _consistency(files: LogFiles, old_size: int, size: int) -> dict[str, object]:
    proof = prove_consistency(files, old_size, size)
    return {
        "proof": "consistency", "ledger": files.uuid.hex(), "old_size": proof.old_size,
        "old_root_hash": proof.old_root.hex(), "size": proof.size,
        "path": [node.hex() for node in proof.path], "root_hash": proof.root.hex(),
    }  # fmt: skip


class Signer(NamedTuple):
    """Who signs: a name and its key."""

    name: str
    key: Ed25519PrivateKey


def _show_checkpoint(files: LogFiles, size: int, signer: Signer, *, as_json: bool) -> None:
    root = prove_consistency(files, size, size).root
    note = sign_checkpoint(signer.name, size, root, signer.key)
    _show_note(note, verifier_key(signer.name, signer.key), as_json=as_json)


def _show_cosigned(files: LogFiles, path: Path, signer: Signer, *, as_json: bool) -> None:
    """Sign as a witness, but only what this directory holds itself."""
    try:
        with path.open("rb") as file:
            note = file.read(FILE_BYTES_MAX).decode()
        stated = read_checkpoint(note)
    except (OSError, ValueError, ProofError) as error:
        raise click.BadParameter(f"{path}: {error}", param_hint="--cosign") from error
    if stated.size > files.size:
        raise LedgerRollbackError(
            f"{path}: states {stated.size} records, {files.size} are here; nothing signed"
        )
    if not stated.size or prove_consistency(files, stated.size, stated.size).root != stated.root:
        raise LedgerCorruptError(
            f"{path}: its root is not that of the first {stated.size} records here: another "
            "ledger's checkpoint, or history was rewritten; nothing signed"
        )
    time_s = SystemClock().now_ns() // 10**9
    public = verifier_key(signer.name, signer.key, witness=True)
    _show_note(cosign_note(note, signer.name, signer.key, time_s), public, as_json=as_json)


def _show_note(note: str, public: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"checkpoint": note, "verifier_key": public}, ensure_ascii=False))
        return
    click.echo(note, nl=False)
    click.echo(f"verifier key: {public}", err=True)


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        with path.open("rb") as file:
            key = load_pem_private_key(file.read(_KEY_BYTES_MAX), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise click.BadParameter(
            f"{path}: not a readable PEM key without a password ({type(error).__name__})",
            param_hint="--key",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise click.BadParameter(f"{path}: not an Ed25519 key", param_hint="--key")
    return key


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice([*FORMATS, "jsonl"]), default="hledger")
@click.option("--out", type=click.File("w", encoding="utf-8", lazy=False), default="-")
@click.option("--commodity", default="IDR", show_default=True)
@JSON_OPTION
def export(directory: Path, form: str, out: TextIO, commodity: str, as_json: bool) -> None:
    """Write DIRECTORY's ledger for hledger, beancount, or as CSV or JSON lines.

    Journals assert the balance after every posting, so whoever reads them checks all of it.
    --json is --format jsonl.
    """
    if not (commodity.isascii() and commodity.isalpha() and commodity.isupper()):
        raise click.BadParameter(f"{commodity!r}: capital letters only", param_hint="--commodity")
    ledger = open_for_reading(directory)
    files = None
    try:
        if as_json or form == "jsonl":
            files = open_files(ledger_path(directory), reading_progress())
            lines = json_lines(ledger, WITA, files, ledger.last_sequence)
        else:
            lines = FORMATS[form](ledger, WITA, commodity)
        count = _write_lines(lines, out, ledger.last_sequence)
    finally:
        ledger.close()
        if files is not None:
            files.close()
    click.echo(f"{count} lines, {ledger_path(directory)}", err=True)


def _write_lines(lines: Iterator[str], out: TextIO, records: int) -> int:
    """Write; on a terminal's standard error say how far it is when there is much."""
    count = 0
    shown = sys.stderr.isatty() and records > 100_000
    for count, line in enumerate(lines, 1):
        out.write(line + "\n")
        if shown and count % 50_000 == 0:
            click.echo(f"\r{count} lines of about {records} records", err=True, nl=False)
    return count


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--after", type=click.IntRange(0), help="Begin after this record; else at the end.")
@click.option("--interval-ms", type=click.IntRange(10, 60_000), default=200, show_default=True)
@JSON_OPTION
def tail(directory: Path, after: int | None, interval_ms: int, as_json: bool) -> None:
    """Follow the ledger in DIRECTORY as it grows, beside its writer. Ctrl-C ends it."""
    ledger = cast(_Following, open_for_reading(directory))
    seen = ledger.last_sequence if after is None else after
    try:
        while True:
            last = ledger.refresh()
            while seen < last:
                page = list(ledger.entries(seen, _TAIL_ROWS_MAX))
                show_entries(page, as_json=as_json)
                seen = page[-1].sequence if len(page) == _TAIL_ROWS_MAX else last
            sys.stdout.flush()
            time.sleep(interval_ms / 1_000)
    except KeyboardInterrupt:
        pass
    finally:
        ledger.close()


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--frame", "frame_number", type=click.IntRange(1), help="Show this frame's records.")
@JSON_OPTION
def inspect(directory: Path, frame_number: int | None, as_json: bool) -> None:
    """Show what lies in DIRECTORY's files and whether it verifies; works on damaged ones too.

    Exit code 1 when something does not verify, or the frame asked for is not there.
    """
    storage = FileStorage(ledger_path(directory), read_only=True, create=False)
    sound, count = True, 0
    try:
        findings = (
            inspect_storage(storage)
            if frame_number is None
            else inspect_frame(storage, frame_number)
        )
        for found in findings:
            count += 1
            sound = sound and found.sound
            click.echo(json.dumps(asdict(found)) if as_json else _finding_line(found))
    finally:
        storage.close()
    if not count and not as_json:
        click.echo(f"no frame {frame_number} with a sound header")
    if not (sound and count):
        raise click.exceptions.Exit(1)


def _finding_line(found: Finding) -> str:
    values = "  ".join(f"{name} {value}" for name, value in found.values.items())
    state = "ok " if found.sound else "BAD"
    return f"{state} {found.file} {found.offset:>10} +{found.length:<9} {found.what}  {values}"
