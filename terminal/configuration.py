"""What a terminal is set up with: who it is, where its host is, where it keeps its memory."""

from dataclasses import dataclass, field
from pathlib import Path

from protocols.catalogue import LANGUAGES
from protocols.values import SecretBytes
from terminal.limits import SAME_SALE_WINDOW_NS
from terminal.paper import NARROW, WIDE
from terminal.purchase.outage import OutagePolicy

_TERMINAL_ID_LENGTH, _MERCHANT_ID_MAX = 8, 15
_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalConfig:
    """Settings of one terminal.

    `terminal_id` is DE41 (8 characters), `merchant_id` DE42 (up to 15). `tmk` is the terminal
    master key of the enrolment file, `storage_key` (32 bytes) protects the terminal's own files.
    `shop_name` and `shop_place` head the receipts until a log-on brings the host's own.
    `persistent` keeps the connection between messages. Times are milliseconds. `training` marks
    every slip; its directory and its switch are others than the real ones. `outage` is what the
    city allows without a line. `cut_off_minute` is the minute of the day (WITA) after which an open
    batch is settled by itself, -1 never. `paper_columns` is 32 or 48; `terminal_data` names the
    kernel's data: `default`, or `laboratory` with offline PIN and data authentication.
    `refund_needs_supervisor` lets a refund begin with the supervisor's code only.
    """

    terminal_id: str
    merchant_id: str
    host: str
    port: int
    data_directory: Path
    storage_key: SecretBytes
    tmk: SecretBytes
    nii: str = "831"
    timeout_ms: int = 10_000
    connect_timeout_ms: int = 5_000
    operator: str = "OP01"
    shop_name: str = ""
    shop_place: str = ""
    help_line: str = "0541-7777777"
    persistent: bool = False
    lang: str = "id"
    same_sale_window_ns: int = SAME_SALE_WINDOW_NS
    training: bool = False
    outage: OutagePolicy = field(default_factory=OutagePolicy)
    cut_off_minute: int = 0
    paper_columns: int = NARROW
    terminal_data: str = "default"
    refund_needs_supervisor: bool = True

    def __post_init__(self) -> None:
        """Check lengths and ranges; raise ValueError naming the setting."""
        if len(self.terminal_id) != _TERMINAL_ID_LENGTH or not self.terminal_id.isalnum():
            raise ValueError("terminal_id is 8 letters or digits")
        if not 0 < len(self.merchant_id) <= _MERCHANT_ID_MAX:
            raise ValueError("merchant_id is 1 to 15 characters")
        if not (self.nii.isdigit() and 1 <= len(self.nii) <= 3):
            raise ValueError("nii is 1 to 3 digits")
        if self.timeout_ms <= 0 or self.connect_timeout_ms <= 0:
            raise ValueError("timeout_ms and connect_timeout_ms are above 0")
        if not -1 <= self.cut_off_minute < _MINUTES_A_DAY:
            raise ValueError("cut_off_minute is -1 or a minute of the day")
        if self.paper_columns not in (NARROW, WIDE):
            raise ValueError("paper_columns is 32 or 48")
        if self.terminal_data not in ("default", "laboratory"):
            raise ValueError("terminal_data is default or laboratory")
        if self.lang not in LANGUAGES:
            raise ValueError("lang is id or en")
