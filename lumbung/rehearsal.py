"""The launch of November 2025 on made-up people: 1,688 families, three months at once.

Figures: domain.md 1.2 (1,688 families, Rp300,000 a month for October to December 2025, a budget of
Rp1,519,200,000). Nobody here can exist: NIK and family numbers begin with 99.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from lumbung.composition import Composition
from lumbung.story.cast import pan_of, pin_of
from programme.actors import Actor, Agency
from programme.decree import import_decree, read_decree
from programme.decree.columns import columns
from programme.decree.template import template
from programme.districts import districts
from programme.equations import Equation, check_equations
from programme.offices import Office
from programme.registry import CardRequest, DecreeState
from protocols.crypto.pin import ibm3624_offset
from protocols.values import SEN_PER_RUPIAH

FAMILIES = 1_688
MONTHS = ("2025-10", "2025-11", "2025-12")
RUPIAH_A_MONTH = 300_000
BUDGET_SEN = FAMILIES * len(MONTHS) * RUPIAH_A_MONTH * SEN_PER_RUPIAH
DECREE = "460/1688/HK-KS/2025"

KOMINFO = Actor(Agency.DISKOMINFO, "kominfo-01")
MAKER = Actor(Agency.DINSOS_PM, "dinsos-01")
CHECKER = Actor(Agency.DINSOS_PM, "dinsos-02")
MAYOR = Actor(Agency.WALI_KOTA, "wali-kota")

_GIVEN = ("Sari", "Wati", "Budi", "Rahma", "Joko", "Lina", "Tuti", "Hasan", "Dewi", "Rudi")


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What the launch came to, in sen: by month what cards hold, and the equations."""

    months: tuple[tuple[str, int, int], ...]
    credited_sen: int
    cards_whole: int
    equations: tuple[Equation, ...]

    @property
    def sound(self) -> bool:
        """Give whether every family has its Rp900,000 and every equation holds."""
        whole = self.cards_whole == FAMILIES and self.credited_sen == BUDGET_SEN
        return whole and all(equation.holds for equation in self.equations)


def decree_text() -> str:
    """Give the decree file of the launch: families over all villages in turn."""
    places = [(district, village) for district, all_of in districts().items() for village in all_of]
    head = template().splitlines()[:-1]
    head[0] = f"#nomor_sk: {DECREE}"
    lines = [line.replace("tahun_anggaran: 2026", "tahun_anggaran: 2025") for line in head]
    for index in range(1, FAMILIES + 1):
        district, village = places[index % len(places)]
        day = date.fromordinal(date(1950, 1, 1).toordinal() + index * 7)
        cells = {
            "nik": f"9972{day:%d%m%y}{index:06d}", "nama": f"{_name(index)} Rekaan",
            "tanggal_lahir": day.isoformat(), "nomor_kk": f"99720202{index:08d}",
            "alamat": f"Jalan Lumbung {index}", "kelurahan": village, "kecamatan": district,
            "nominal": str(RUPIAH_A_MONTH), "hasil_verifikasi": "layak",
        }  # fmt: skip
        lines.append(";".join(cells[field.name] for field in columns()))
    return "\n".join(lines) + "\n"


def rehearse(parts: Composition, tell: Callable[[str], None]) -> Rehearsed:
    """Run the launch, or what is left of one that was stopped; a second run changes nothing."""
    office = Office(parts.registry, parts.ledger, parts.keystore)
    decree = _take_decree(parts)
    tell(f"decree {DECREE}: {FAMILIES} families, determined")
    tell(f"{_hand_out(parts, decree)} cards")
    months = []
    for month in MONTHS:
        result = office.two_people.disburse_at_once(
            decree, month, MAKER, CHECKER, amount_sen=RUPIAH_A_MONTH * SEN_PER_RUPIAH
        )
        credited = result.credited_sen + result.credited_before_sen
        months.append((month, credited, result.held_sen))
        tell(f"{month}: {result.credited_count} credited, {result.credited_before_count} before")
    accounts = parts.ledger.lookup_accounts([c.account_id for c in parts.registry.all_cards()])
    whole = len(MONTHS) * RUPIAH_A_MONTH * SEN_PER_RUPIAH
    balances = [0 if account is None else account.credit_balance for account in accounts]
    return Rehearsed(
        months=tuple(months),
        credited_sen=sum(balances),
        cards_whole=balances.count(whole),
        equations=tuple(check_equations(parts.ledger, parts.registry)),
    )


def _take_decree(parts: Composition) -> int:
    path = parts.data.root / "launch-2025.csv"
    text = decree_text()
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
    number = import_decree(parts.registry, read_decree(path), KOMINFO).decree.decree_number
    order = list(DecreeState)
    for state, actor in (
        (DecreeState.VERIFICATION, MAKER),
        (DecreeState.VALIDATION, CHECKER),
        (DecreeState.DETERMINATION, MAYOR),
    ):
        if order.index(parts.registry.decrees.get(number).state) < order.index(state):
            parts.registry.decrees.move(number, state, actor)
    return number


def _hand_out(parts: Composition, decree: int) -> int:
    registry, seed = parts.registry, parts.data.manifest.seed
    assert seed is not None, "a rehearsal's directory is a story's"
    have = {card.recipient_number for card in registry.lists.cards()}
    pvk = parts.keystore.get("pvk")
    requests = []
    for line in registry.decrees.lines(decree):
        number = line.recipient_number
        if number not in have:
            pan = pan_of(seed, number)
            offset = ibm3624_offset(pvk, pan, pin_of(seed, number), 6)
            requests.append(
                CardRequest(
                    recipient_number=number, pan=pan, pan_sequence="01",
                    expires_on=date(2030, 12, 31), pin_offset=offset,
                )
            )  # fmt: skip
    if requests:
        registry.cards.issue(requests, KOMINFO)
    return len(registry.all_cards())


def _name(index: int) -> str:
    """Give a made-up name of three words that no other index has."""
    return " ".join(_words(index))


def _words(index: int) -> Iterator[str]:
    digest = hashlib.sha256(f"lumbung/launch/{index}".encode()).digest()
    for byte in digest[:2]:
        yield _GIVEN[byte % len(_GIVEN)]
    letters = "abdeginorstu"
    yield "".join(letters[byte % len(letters)] for byte in digest[2:8]).capitalize()
