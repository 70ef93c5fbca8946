"""The one way to open a ledger: it chooses the engine and says so on the ledger's `engine`."""

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from ledger.errors import LedgerEngineError
from ledger.limits import SEGMENT_SIZE_DEFAULT
from ledger.port import Ledger
from ledger.pure import open_pure

Engine = Literal["auto", "native", "pure"]
#: Set to 1 (CI does), the fallback to the pure engine is an error.
REQUIRE_NATIVE_VARIABLE = "LUMBUNG_REQUIRE_NATIVE"
#: Whether `auto` means the native engine where it is built: only once it passes the same
#: conformance suite as the pure one.
AUTO_IS_NATIVE = True
_Opener = Callable[..., Ledger]


def open_ledger(
    path: str | Path,
    *,
    now_ns: Callable[[], int],
    random_bytes: Callable[[int], bytes],
    engine: Engine = "auto",
    create: bool = True,
    read_only: bool = False,
    segment_size: int = SEGMENT_SIZE_DEFAULT,
    expected_checkpoint: Mapping[str, Any] | None = None,
) -> Ledger:
    """Open the ledger in a directory, making it when `create` says so and nothing is there.

    `now_ns` is read once per commit group (nanoseconds UTC); `random_bytes(n)` gives the ledger's
    uuid and the nonce of each segment. `segment_size` counts only when a ledger is made.
    `expected_checkpoint` is what `Ledger.checkpoint` gave earlier: the directory must contain it.

    Raises:
        LedgerEngineError: `native` was asked for, or required, and is not there.
        LedgerForeignError: the directory is no ledger, or one of another version.
        LedgerLockedError: another process writes it.
        LedgerReadOnlyError: it cannot be written.
        LedgerCorruptError: acknowledged data does not verify; names file and offset.
        LedgerRollbackError: it holds less than the expected checkpoint.
    """
    opener = choose_engine(engine)
    return opener(
        Path(path),
        now_ns=now_ns,
        random_bytes=random_bytes,
        create=create,
        read_only=read_only,
        segment_size=segment_size,
        expected_checkpoint=expected_checkpoint,
    )


def choose_engine(engine: Engine) -> _Opener:
    """Give the function that opens with this engine. Raise `LedgerEngineError` when it cannot."""
    required = os.environ.get(REQUIRE_NATIVE_VARIABLE) == "1"
    if engine == "pure" or (engine == "auto" and not (required or AUTO_IS_NATIVE)):
        return open_pure
    native = _native_opener()
    if native is not None:
        return native
    if engine == "native" or required:
        raise LedgerEngineError(
            "the native ledger engine is not built; install a Rust tool-chain and install "
            f"lumbung again, or ask for the pure engine and unset {REQUIRE_NATIVE_VARIABLE}"
        )
    return open_pure


def _native_opener() -> _Opener | None:
    try:
        native = importlib.import_module("ledger.native")
    except ModuleNotFoundError as error:
        if error.name != "ledger.native":
            raise
        return None
    if not native.NATIVE_AVAILABLE:
        return None
    return cast(_Opener, native.open_native)
