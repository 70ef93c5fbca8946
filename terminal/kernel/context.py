"""What the kernel knows during one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocols.crypto.rsa import RsaPublicKey
from protocols.emv.commands import AcType
from protocols.emv.cvm import CvmResult, CvmRule
from protocols.emv.dol import Dol
from protocols.emv.flags import Aip, Tsi, Tvr
from protocols.values import Pan, Track2
from terminal.kernel.configuration import TerminalApplication, TerminalData, TransactionInput
from terminal.kernel.values import terminal_values

_NO_TVR, _NO_TSI = Tvr(0), Tsi(0)


@dataclass(slots=True, repr=False)
class KernelContext:
    """One transaction's state; its repr shows no card data.

    `card` holds every data object read from the card, `values` the terminal's own; data object
    lists are filled from both, the terminal's first; `lists` keeps CDOL1 and CDOL2 parsed,
    `static_records` the records for offline data authentication. `combined`: cryptograms are to
    be signed (CDA) with `icc_key`. `offline_rule` is the rule that wants an offline PIN now,
    `pin_tries_left` what the card said of its tries (None: nothing).
    """

    data: TerminalData
    transaction: TransactionInput
    tvr: Tvr = _NO_TVR
    tsi: Tsi = _NO_TSI
    application: TerminalApplication | None = None
    aid: bytes = b""
    label: str = ""
    card: dict[str, bytes] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)
    lists: dict[str, Dol] = field(default_factory=dict)
    static_records: list[tuple[int, bytes]] = field(default_factory=list)
    pan: Pan | None = None
    track2: Track2 | None = None
    cvm_results: bytes = b"\x3f\x00\x00"
    cvm_next: int = 0
    cvm_last: CvmResult | None = None
    offline_rule: CvmRule | None = None
    pin_tries_left: int | None = None
    pin_key: RsaPublicKey | None = None
    needs_online_pin: bool = False
    icc_key: RsaPublicKey | None = None
    combined: bool = False
    pdol_values: bytes = b""
    cdol1_values: bytes = b""
    requested: AcType | None = None
    cid: int | None = None
    cryptogram: bytes = b""
    atc: bytes = b""

    def __post_init__(self) -> None:
        """Fill the terminal's data objects."""
        self.values.update(terminal_values(self.data, self.transaction))

    def __repr__(self) -> str:
        return f"<KernelContext {self.aid.hex().upper()} tvr {self.tvr.encoded().hex().upper()}>"

    @property
    def needs_offline_pin(self) -> bool:
        """Tell whether `enter_offline_pin` must come before `authorise`."""
        return self.offline_rule is not None

    @property
    def aip(self) -> Aip:
        """Give the application interchange profile; no function at all before GPO."""
        return Aip(int.from_bytes(self.card.get("82", b"\x00\x00"), "big"))

    def dol_values(self) -> Mapping[str, bytes]:
        """Give all data objects for a data object list, as they stand now."""
        now = {
            "95": self.tvr.encoded(),
            "9B": self.tsi.encoded(),
            "9F34": self.cvm_results,
        }
        return {**self.card, **self.values, **now}
