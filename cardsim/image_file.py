"""Writing and reading image files: private, atomic, durable."""

import os
import tempfile
from pathlib import Path

from cardsim import limits
from cardsim.errors import CardImageError

_PRIVATE = 0o600


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably, readable by its owner only; raise CardImageError."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _failed(path, "written", error) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _PRIVATE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
        _sync_directory(path.parent)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise _failed(path, "written", error) from None


def read_text(path: Path) -> str:
    """Give a file's ASCII text; raise CardImageError."""
    try:
        with path.open("rb") as file:
            content = file.read(limits.IMAGE_BYTES + 1)
    except OSError as error:
        raise _failed(path, "read", error) from None
    if len(content) > limits.IMAGE_BYTES:
        raise CardImageError(
            f"{path}: larger than {limits.IMAGE_BYTES} bytes, no card image.",
            fix="Name a card image file.",
        )
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise CardImageError(
            f"{path}: not a readable card image: no ASCII text.",
            fix="Restore the file from a copy or personalise the card anew.",
        ) from None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path: Path, verb: str, error: OSError) -> CardImageError:
    return CardImageError(
        f"{path}: the card image cannot be {verb}: {error.strerror or 'input/output error'}.",
        fix="Check the path, its permissions and the free space.",
    )
