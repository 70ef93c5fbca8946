"""Operating errors of the ledger: typed, with where and how to mend; refusals are statuses.

The ledger may not import `protocols` (it knows no message), so these stand alone; the front door
maps `code` to an exit code (4 for integrity, 3 for environment).
"""


class LedgerError(Exception):
    """A fault of disk, directory or caller's environment. `code` is stable."""

    code = "E-LG-0000"


class LedgerBusyError(LedgerError):
    """The bounded queue is full: nothing was submitted; try again."""

    code = "E-LG-0001"


class LedgerDeadlineError(LedgerError):
    """The deadline passed before submission: nothing was submitted, so the answer is definite."""

    code = "E-LG-0002"


class LedgerPoisonedError(LedgerError):
    """A write or sync failed: outstanding work is indeterminate until the directory is reopened."""

    code = "E-LG-0003"


class LedgerFullError(LedgerError):
    """No room is left for another segment: new work is refused before it is applied."""

    code = "E-LG-0004"


class LedgerLockedError(LedgerError):
    """Another process writes this directory."""

    code = "E-LG-0005"


class LedgerForeignError(LedgerError):
    """The directory is not a ledger of ours, or of another version."""

    code = "E-LG-0006"


class LedgerCorruptError(LedgerError):
    """Acknowledged data does not verify: the text names file and offset; never truncated."""

    code = "E-LG-0007"


class LedgerReadOnlyError(LedgerError):
    """The directory or file system cannot be written, or it was opened for reading."""

    code = "E-LG-0008"


class LedgerRollbackError(LedgerError):
    """The directory holds less than the checkpoint the caller expected (decision 21)."""

    code = "E-LG-0009"


class LedgerBatchError(LedgerError):
    """A batch is no batch: too many events, a broken packed length, a field beyond its width."""

    code = "E-LG-0010"


class LedgerEngineError(LedgerError):
    """The engine asked for, or required by the environment, is not built."""

    code = "E-LG-0011"
