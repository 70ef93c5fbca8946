"""Make the story's input files: 941 synthetic recipients, 51 E-Warong, their terminals.

Same seed, same bytes. Nobody in these files exists:

* every NIK and family card number begins with 99, a province code that Kemendagri has never given
  out (codes in use run from 11 to 97), so none can belong to a person;
* every name ends in "Rekaan" (Indonesian: made up);
* card counts by district are those of 2022 (Fahriza & Nurrahman 2026, Table 3); places are real.

    python scripts/make_story_data.py            # writes lumbung/story/
    python scripts/make_story_data.py --check    # compares, exit code 1 when they differ
"""

import argparse
import random
import sys
import tomllib
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from programme.decree.columns import columns, declarations
from programme.districts import districts
from programme.shop_file import SHOP_COLUMNS, TERMINAL_COLUMNS

SEED = 941
STORY = Path(__file__).resolve().parent.parent / "lumbung" / "story"

#: Recipients by district in 2022. Source: Fahriza & Nurrahman 2026, Table 3; sum 941.
RECIPIENTS = {
    "Palaran": 77,
    "Samarinda Seberang": 145,
    "Samarinda Ulu": 103,
    "Samarinda Ilir": 62,
    "Samarinda Utara": 55,
    "Sungai Kunjang": 73,
    "Sambutan": 86,
    "Sungai Pinang": 68,
    "Samarinda Kota": 184,
    "Loa Janan Ilir": 88,
}
#: E-Warong in the city. Source: news of the launch, November 2025 (domain.md 1.2).
SHOPS = 51
#: A month's aid in rupiah. Source: the same.
MONTHLY_RUPIAH = 300_000

DECLARED = {
    "nomor_sk": "460/0941/HK-KS/2025",
    "tanggal_sk": "2025-12-22",
    "pemisah": ";",
    "dompet": "pangan",
    "sumber_dana": "APBD",
    "tahun_anggaran": "2026",
    "periode_awal": "2025-10",
    "periode_akhir": "2026-12",
}
WORDS = tomllib.loads(Path(__file__).with_name("story_words.toml").read_text("utf-8"))

#: What an E-Warong is and sells, in turn: kind, category, categories registered by name. Most are
#: groceries and small food shops; the last four are conditional and registered for it.
MIXTURE = [
    *[("mikro", "5411", "")] * 5,
    *[("mikro", "5499", "")] * 4,
    *[("kecil", "5411", "")] * 3,
    ("KUBE", "5499", ""),
    ("KUBE", "5411", ""),
    ("mikro", "5422", ""),
    ("kecil", "5451", ""),
    ("koperasi", "5411", ""),
    ("koperasi", "0763", "0763"),
    ("KUBE", "5399", "5399"),
    ("mikro", "5331", "5331"),
    ("mikro", "5462", "5462"),
]


def decree_text(rng: random.Random) -> str:
    """Give the decree file."""
    lines = [f"#{field.name}: {DECLARED[field.name]}" for field in declarations()]
    lines += [
        "# Synthetic people. By district: Fahriza & Nurrahman 2026, Table 3 (cards of 2022).",
        "# NIK and family cards begin with 99, a province code that does not exist.",
        "# Amount: launch of November 2025, Rp300,000 a month. Made by scripts/make_story_data.py.",
        ";".join(field.name for field in columns()),
    ]
    names: set[tuple[str, date]] = set()
    for code, (district, count) in enumerate(RECIPIENTS.items(), start=1):
        for serial in range(1, count + 1):
            cells = person(rng, code, district, serial, names)
            lines.append(";".join(cells[field.name] for field in columns()))
    return "\n".join(lines) + "\n"


def person(
    rng: random.Random, code: int, district: str, serial: int, names: set[tuple[str, date]]
) -> dict[str, str]:
    """Give one synthetic recipient; no two have the same name and birth date."""
    woman = rng.random() < 0.6
    first = rng.choice(WORDS["women" if woman else "men"].split())
    name = f"{first} {rng.choice(WORDS['middle'].split())} Rekaan"
    born = date(1945, 1, 1) + timedelta(days=rng.randrange(55 * 365))
    while (name, born) in names:
        born += timedelta(days=1)
    names.add((name, born))
    day = born.day + (40 if woman else 0)  # as in every NIK: women's days are raised by 40
    issued = date(2010, 1, 1) + timedelta(days=rng.randrange(15 * 365))
    street = f"{rng.choice(WORDS['streets'])} {rng.randrange(1, 99)}"
    return {
        "nik": f"9972{code:02d}{day:02d}{born:%m%y}{serial:04d}",
        "nama": name,
        "tanggal_lahir": born.isoformat(),
        "nomor_kk": f"9972{code:02d}{issued:%d%m%y}{serial:04d}",
        "alamat": f"{street} RT {rng.randrange(1, 40):02d}",
        "kelurahan": rng.choice(districts()[district]),
        "kecamatan": district,
        "nominal": str(MONTHLY_RUPIAH),
        "hasil_verifikasi": "layak",
    }


def shops_by_district() -> dict[str, int]:
    """Give how many of the 51 stand in each district: by recipients, largest remainder."""
    total = sum(RECIPIENTS.values())
    exact = {name: SHOPS * count / total for name, count in RECIPIENTS.items()}
    shops = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: exact[name] - shops[name], reverse=True)
    for name in by_remainder[: SHOPS - sum(shops.values())]:
        shops[name] += 1
    return shops


def shop_rows(rng: random.Random) -> list[list[str]]:
    """Give the 51 E-Warong and the three shops that sales are refused at."""
    rows = []
    words = iter(WORDS["shops"].split())
    mixture = [MIXTURE[index % len(MIXTURE)] for index in range(SHOPS)]
    rng.shuffle(mixture)
    for district, count in shops_by_district().items():
        for serial in range(1, count + 1):
            kind, category, conditional = mixture.pop()
            village = districts()[district][(serial - 1) % len(districts()[district])]
            merchant = f"EWSMD{WORDS['short'][district]}{serial:07d}"
            name = f"E-Warong {next(words)}"
            head = [merchant, name, kind, district, village, category, conditional]
            rows.append([*head, "ya", "tidak"])
    refused = [
        (
            "TKSMDKTA0000901",
            "Konter Pulsa Rekaan",
            "Samarinda Kota",
            "Pasar Pagi",
            "4814",
            "ya",
            "tidak",
        ),
        ("TKSMDULU0000902", "Kios Rokok Rekaan", "Samarinda Ulu", "Jawa", "5993", "tidak", "tidak"),
        ("EWSMDPLR0000903", "E-Warong Lengang", "Palaran", "Bukuan", "5411", "ya", "ya"),
    ]
    for merchant, name, district, village, category, designated, suspended in refused:
        row = [merchant, name, "mikro", district, village, category, "", designated, suspended]
        rows.append(row)
    return rows


def shops_text(rows: list[list[str]]) -> str:
    """Give the file of shops."""
    head = ";".join(SHOP_COLUMNS)
    remarks = [
        "# 51 E-Warong over the 10 districts (domain.md 1.2), in proportion to the recipients, and",
        "# three shops where a sale is refused: phone credit (4814), cigarettes (5993), suspended.",
        "# Fictitious. Kinds: Perwali 70/2025 art. 1 no. 16-19; categories: ISO 18245.",
    ]
    return "\n".join([*remarks, head, *(";".join(row) for row in rows)]) + "\n"


def terminals_text(rows: list[list[str]]) -> str:
    """Give the file of terminals: one for each shop."""
    remarks = ["# One EDC for each shop; the bank supplies it (Perwali 70/2025 art. 12(5)a)."]
    lines = [f"{12_400_001 + index};{row[0]}" for index, row in enumerate(rows)]
    return "\n".join([*remarks, ";".join(TERMINAL_COLUMNS), *lines]) + "\n"


def main() -> int:
    """Write the three files, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    arguments = parser.parse_args()
    rng = random.Random(SEED)  # noqa: S311 - synthetic people, repeatable on purpose
    decree = decree_text(rng)
    shops = shop_rows(rng)
    texts = {
        "decree-2022.csv": decree,
        "merchants.csv": shops_text(shops),
        "terminals.csv": terminals_text(shops),
    }
    if arguments.check:
        wrong = [n for n, text in texts.items() if (STORY / n).read_text("utf-8") != text]
        sys.stdout.writelines(
            f"{STORY / name}: differs from what this script makes\n" for name in wrong
        )
        return 1 if wrong else 0
    STORY.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (STORY / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
