"""The slips that are to be printed, on disk: a power cut forgets none and doubles none unmarked.

One small file, replaced in one step at each step of a slip: waiting, begun, gone. A slip that was
begun and not known to have come out is printed again under the mark of a copy.
"""

import binascii
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from terminal.errors import TerminalError
from terminal.journal.transactions import is_later
from terminal.keystore import replace_durably
from terminal.limits import SLIP_TEXT_MAX_CHARACTERS, SLIPS_OPEN_MAX, SLIPS_QUEUED_MAX

#: Version 1 has no open ones; it is read.
_VERSION, _VERSIONS = 2, (1, 2)
_FILE_MAX_BYTES = SLIPS_QUEUED_MAX * SLIP_TEXT_MAX_CHARACTERS * 2


class SlipQueueError(TerminalError):
    """The file of the waiting slips cannot be read or written."""

    code = "E-TM-0502"


@dataclass(frozen=True, slots=True)
class WaitingSlip:
    """One slip: its text, what its QR says, and whether the printer was already sent some of it."""

    body: str
    qr: str = ""
    begun: bool = False


@dataclass(frozen=True, slots=True)
class _Content:
    slips: tuple[WaitingSlip, ...] = ()
    newest_stan: int = 0
    lines_printed: int = 0
    open_stans: tuple[int, ...] = ()


@dataclass(slots=True)
class SlipQueue:
    """The file and what it holds. Its writes take the disk's time: call them off the loop."""

    path: Path
    _content: _Content = field(default_factory=_Content)

    @classmethod
    def open(cls, path: Path, newest_stan: int = 0) -> "SlipQueue":
        """Open the queue, or begin an empty one that owes nothing up to `newest_stan`, durably.

        Raises SlipQueueError for a file that does not read back, or cannot be begun.
        """
        queue = cls(path)
        if path.exists():
            queue._content = queue._read()
        else:
            queue._write(_Content(newest_stan=newest_stan))
        return queue

    @property
    def waiting(self) -> int:
        """Give how many slips wait."""
        return len(self._content.slips)

    @property
    def first(self) -> WaitingSlip | None:
        """Give the slip that is next."""
        return self._content.slips[0] if self._content.slips else None

    @property
    def newest_stan(self) -> int:
        """Give the newest transaction, or partial reversal, whose slips were taken."""
        return self._content.newest_stan

    @property
    def open_stans(self) -> tuple[int, ...]:
        """Give the transactions of whose end paper is still to be told."""
        return self._content.open_stans

    @property
    def lines_printed(self) -> int:
        """Give the lines printed so far: how much paper the bank owes the shop (R35)."""
        return self._content.lines_printed

    def add(
        self,
        slips: list[WaitingSlip],
        stan: int = 0,
        *,
        opens: Iterable[int] = (),
        ends: Iterable[int] = (),
    ) -> int:
        """Take slips, durably; give how many there was no room for. Raises SlipQueueError.

        `stan` is what they are about, 0 for what does not count as the newest, such as copies;
        `opens` are transactions whose end is to be told later, `ends` those that have it.
        """
        assert all(len(slip.body) <= SLIP_TEXT_MAX_CHARACTERS for slip in slips), "a slip is short"
        room = SLIPS_QUEUED_MAX - self.waiting
        content, was = self._content, self.newest_stan
        still = dict.fromkeys((*content.open_stans, *opens))
        for ended in ends:
            still.pop(ended, None)
        self._write(
            replace(
                content,
                slips=(*content.slips, *slips[:room]),
                newest_stan=stan if stan and is_later(stan, was) else was,
                open_stans=tuple(still)[-SLIPS_OPEN_MAX:],
            )
        )
        return max(0, len(slips) - room)

    def begin(self) -> None:
        """Remember, durably, that the printer is about to be sent the first slip."""
        first, *rest = self._content.slips
        if not first.begun:
            self._write(replace(self._content, slips=(replace(first, begun=True), *rest)))

    def not_begun(self) -> None:
        """Take `begin` back: nothing of the first slip was sent."""
        first, *rest = self._content.slips
        self._write(replace(self._content, slips=(replace(first, begun=False), *rest)))

    def printed(self) -> None:
        """Let the first slip go: it has come out."""
        first, *rest = self._content.slips
        lines = self._content.lines_printed + first.body.count("\n")
        self._write(replace(self._content, slips=tuple(rest), lines_printed=lines))

    def _write(self, content: _Content) -> None:
        body = json.dumps({"version": _VERSION} | asdict(content)).encode("utf-8")
        try:
            replace_durably(self.path, b"%08x " % binascii.crc32(body) + body)
        except OSError as failed:
            raise SlipQueueError(
                f"{self.path}: cannot write: {failed.strerror}.", fix="Free the disk."
            ) from failed
        self._content = content

    def _read(self) -> _Content:
        try:
            raw = self.path.read_bytes()
            if len(raw) > _FILE_MAX_BYTES or int(raw[:8], 16) != binascii.crc32(raw[9:]):
                raise ValueError("its checksum is wrong")
            values = json.loads(raw[9:])
            if values.pop("version") not in _VERSIONS:
                raise ValueError("its version is not known")
            slips = tuple(WaitingSlip(**slip) for slip in values.pop("slips"))
            open_stans = tuple(int(stan) for stan in values.pop("open_stans", ()))
            return _Content(slips=slips, open_stans=open_stans, **values)
        except (OSError, ValueError, TypeError, KeyError) as wrong:
            raise SlipQueueError(
                f"{self.path}: the waiting slips do not read back: {wrong}.",
                fix="Move the file away; what is missing on paper comes with `cetak ulang`.",
            ) from wrong
