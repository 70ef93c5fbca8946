"""Operating errors of the terminal: what, where, how to mend. Never card data, PIN or key."""

from protocols.errors import LumbungError


class TerminalError(LumbungError):
    """A fault of the terminal's files, lock or use."""

    code = "E-TM-0001"


class JournalDamagedError(TerminalError):
    """Acknowledged data of the journal does not read back; `external` begins with file:offset."""

    code = "E-TM-0101"


class JournalVersionError(TerminalError):
    """The journal is of another version, of another terminal, or no journal."""

    code = "E-TM-0102"


class JournalWriteError(TerminalError):
    """The journal could not be made durable, or is full: nothing was sent, the terminal stops."""

    code = "E-TM-0103"


class DirectoryLockedError(TerminalError):
    """Another process works on this terminal's directory."""

    code = "E-TM-0104"


class KeyStoreError(TerminalError):
    """The terminal's key file cannot be read, or belongs to another terminal or storage key."""

    code = "E-TM-0105"


class SealBrokenError(TerminalError):
    """A sealed value does not open: wrong storage key, or altered bytes."""

    code = "E-TM-0106"


class NotLoggedOnError(TerminalError):
    """The terminal holds no session keys: log on first."""

    code = "E-TM-0301"


class SessionBusyError(TerminalError):
    """A request came while another is in flight, or in the wrong order."""

    code = "E-TM-0302"
