"""The city of the system's simulation: made once, copied for each seed.

A decree of a few people with chip cards, a few shops with a terminal each, a month's money; real
registry, real chart and disbursement, real card images. Keys and numbers are the same in each seed.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from cardsim import CardImage, personalise
from ledger.native import NativeLedger, open_native
from ledger.pure import PureLedger, open_pure_on
from lumbung.testing.virtual_time import VirtualTime, WallClock
from programme.accounts import open_purse
from programme.actors import Actor, Agency
from programme.chart import Purse
from programme.decree import import_decree, read_decree
from programme.decree.columns import columns
from programme.decree.template import template
from programme.disbursement import disburse
from programme.registry import (
    CardRequest,
    DecreeState,
    MerchantKind,
    MerchantRequest,
    Registry,
    TerminalRequest,
)
from programme.registry.proxies import ProxyRequest
from programme.registry_port import CardStatus
from protocols.crypto.emv_keys import icc_master_key
from protocols.crypto.pin import ibm3624_offset
from protocols.values import Pan, SecretBytes
from tests.test_ledger.ledger_disk import SimulatedDisk

#: 2026-01-05 23:53 WITA: the business date moves in the middle of the run.
START_NS = 1_767_628_380 * 10**9
IMK = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
PVK = SecretBytes(bytes.fromhex("23456789ABCDEF01FEDCBA9876543210"))
DISKOMINFO = Actor(Agency.DISKOMINFO, "kominfo-01")
MAYOR = Actor(Agency.WALI_KOTA, "wali-kota")
MAKER = Actor(Agency.DINSOS_PM, "dinsos-01")
CHECKER = Actor(Agency.DINSOS_PM, "dinsos-02")
BANK = Actor(Agency.BANK, "bank-01")
CARDS, SHOPS = 6, 4
#: Cards that may be replaced in the day: each has its successor printed already.
SPARES = 3
PERIODS = ("2025-11", "2025-12", "2026-01")
SEGMENT_BYTES = 16_384
EXPIRES_ON = date(2030, 12, 31)


class Keys(dict[str, SecretBytes]):
    """Key values by label: the keystore as the switch asks it."""

    def get(self, label: str) -> SecretBytes:  # type: ignore[override]
        """Give a key."""
        return self[label]


@dataclass(frozen=True, slots=True)
class Plan:
    """What never differs from seed to seed: files of the city as it is opened, and its people."""

    registry: bytes
    ledger: SimulatedDisk
    keys: Keys
    decree: int
    images: tuple[str, ...]
    pins: tuple[str, ...]
    pans: tuple[Pan, ...]
    #: The cards that replace the first ones, in their order.
    spare_images: tuple[str, ...]
    spare_pins: tuple[str, ...]
    spare_pans: tuple[Pan, ...]
    #: Who acts for the first card all year, and for the second until the first midnight.
    proxies: tuple[int, ...]


def terminal_id(place: int) -> str:
    """Give DE41 of a shop's terminal."""
    return f"124{place + 1:05d}"


def merchant_id(place: int) -> str:
    """Give DE42 of a shop."""
    return f"EWSIM{place + 1:010d}"


def open_registry(path: Path, clock: WallClock, random_bytes: Callable[[int], bytes]) -> Registry:
    """Open a registry under the city's keys."""
    return Registry.open(
        path,
        hmac_key=SecretBytes(b"h" * 32),
        nik_key=SecretBytes(b"n" * 32),
        clock=clock,
        random_bytes=random_bytes,
    )


def open_city_ledger(
    disk: SimulatedDisk,
    clock: WallClock,
    random_bytes: Callable[[int], bytes],
    engine: str = "pure",
) -> PureLedger | NativeLedger:
    """Open the ledger that is on a disk; either engine does everything on this thread."""
    options: dict[str, Any] = {
        "now_ns": clock.now_ns, "random_bytes": random_bytes, "segment_size": SEGMENT_BYTES,
    }  # fmt: skip
    if engine == "native":
        return open_native(Path("simulated"), storage=disk, background=False, **options)
    return open_pure_on(disk, **options)


@cache
def plan() -> Plan:
    """Make the city, once in a process."""
    with tempfile.TemporaryDirectory(prefix="lumbung-city-", dir=memory_folder()) as folder:
        return _make(Path(folder))


def _make(folder: Path) -> Plan:
    clock, rng = WallClock(VirtualTime(), START_NS - 86_400 * 10**9), Random(20260105)
    path = folder / "registry.sqlite"
    disk = SimulatedDisk(rng)
    with open_registry(path, clock, rng.randbytes) as registry:
        ledger = open_city_ledger(disk, clock, rng.randbytes)
        decree = _take_decree(registry, folder)
        pins, pans = _hand_out_cards(registry, rng)
        keys = _open_shops(registry, rng)
        open_purse(ledger, registry, Purse.FOOD, MAKER)
        disburse(ledger, registry, decree, PERIODS[0], None, MAKER, CHECKER)
        ledger.close()
        proxies = _register_proxies(registry)
    images = tuple(_chip(pan, rng).to_json() for pan in pans)
    spare_pins = _draw_pins(rng, SPARES)
    spare_pans = tuple(_pan(CARDS + number) for number in range(1, SPARES + 1))
    spares = tuple(_chip(pan, rng).to_json() for pan in spare_pans)
    return Plan(
        path.read_bytes(), disk.copy(), keys, decree, images, pins, pans,
        spares, spare_pins, spare_pans, proxies,
    )  # fmt: skip


def memory_folder() -> Path:
    """Give a folder in memory where the machine has one: syncs cost nothing there."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else Path(tempfile.gettempdir())


def copy_registry(folder: Path) -> Path:
    """Give a seed's own copy of the registry."""
    path = folder / "registry.sqlite"
    path.write_bytes(plan().registry)
    path.chmod(0o600)
    return path


def _take_decree(registry: Registry, folder: Path) -> int:
    lines = template().splitlines()[:-1]
    lines[0] = "#nomor_sk: 460/0001/HK/2025"
    for index in range(1, CARDS + 1):
        cells = {
            "nik": f"99720101{index:08d}",
            "nama": f"Orang Rekaan {index}",
            "tanggal_lahir": "1990-01-01",
            "nomor_kk": f"99720202{index:08d}",
            "alamat": f"Jalan Lumbung {index}",
            "kelurahan": "Bukuan",
            "kecamatan": "Palaran",
            "nominal": "300000",
            "hasil_verifikasi": "layak",
        }
        lines.append(";".join(cells[field.name] for field in columns()))
    path = folder / "decree.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    number = import_decree(registry, read_decree(path), DISKOMINFO).decree.decree_number
    registry.decrees.move(number, DecreeState.VERIFICATION, MAKER)
    registry.decrees.move(number, DecreeState.VALIDATION, MAKER)
    registry.decrees.move(number, DecreeState.DETERMINATION, MAYOR)
    return number


def _hand_out_cards(registry: Registry, rng: Random) -> tuple[tuple[str, ...], tuple[Pan, ...]]:
    pins = _draw_pins(rng, CARDS)
    pans = tuple(_pan(number) for number in range(1, CARDS + 1))
    views = registry.cards.issue(
        [
            CardRequest(
                recipient_number=number,
                pan=pan,
                pan_sequence="01",
                expires_on=EXPIRES_ON,
                pin_offset=ibm3624_offset(PVK, pan, pin),
            )
            for number, (pan, pin) in enumerate(zip(pans, pins, strict=True), 1)
        ],
        DISKOMINFO,
    )
    numbers = [view.card_number for view in views]
    registry.cards.move(numbers, CardStatus.AT_BANK, DISKOMINFO)
    registry.cards.move(numbers, CardStatus.COLLECTED, BANK)
    registry.cards.move(numbers, CardStatus.ACTIVE, BANK)
    return pins, pans


def _draw_pins(rng: Random, count: int) -> tuple[str, ...]:
    return tuple(f"{rng.randrange(1_000_000):06d}" for _ in range(count))


def _register_proxies(registry: Registry) -> tuple[int, ...]:
    last_days = (date(2026, 12, 31), date(2026, 1, 5))
    return tuple(
        registry.proxies.register(
            ProxyRequest(
                card_number=number,
                nik=f"99720303{number:08d}",
                name=f"Wakil Rekaan {number}",
                reason="sakit",
                valid_from=date(2026, 1, 4),
                valid_until=last_day,
            ),
            MAKER,
        ).proxy_number
        for number, last_day in enumerate(last_days, 1)
    )


def _open_shops(registry: Registry, rng: Random) -> Keys:
    keys = Keys(imk_ac=IMK, pvk=PVK)
    registry.shops.add_merchants(
        [
            MerchantRequest(
                merchant_id=merchant_id(place),
                name=f"E-WARONG SIMULASI {place + 1}",
                kind=MerchantKind.KUBE,
                district="Palaran",
                village="Bukuan",
                category="5411",
                designated=True,
            )
            for place in range(SHOPS)
        ],
        MAKER,
    )
    for place in range(SHOPS):
        keys[f"tmk/{terminal_id(place)}"] = SecretBytes(bytes(b | 1 for b in rng.randbytes(16)))
    registry.shops.add_terminals(
        [
            TerminalRequest(
                terminal_id=terminal_id(place),
                home_merchant_id=merchant_id(place),
                key_label=f"tmk/{terminal_id(place)}",
                key_check_value="000000",
            )
            for place in range(SHOPS)
        ],
        BANK,
    )
    return keys


def _pan(number: int) -> Pan:
    body = f"93600999{number * 4_973_107 % 10_000_000:07d}"
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in body[::-2])
    return Pan(body + str(-(doubled + sum(int(digit) for digit in body[-2::-2])) % 10))


def _chip(pan: Pan, rng: Random) -> CardImage:
    udk = icc_master_key(IMK, pan, "01")
    return personalise(
        "ssn",
        pan=pan,
        expiry=EXPIRES_ON,
        psn="01",
        name="KARTU SIMULASI",
        udk_ac=SecretBytes(udk.reveal()),
        random_bytes=rng.randbytes,
    )
