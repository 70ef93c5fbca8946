"""The launch of November 2025 on synthetic people: 1,688 families, Rp900,000 each (domain.md 1.2).

Killed by SIGKILL at random moments and resumed; totals to the rupiah; run twice, the same figures.
"""

import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import date

import pytest

from ledger import open_ledger
from programme.accounts import chart_of
from programme.decree import import_decree, read_decree
from programme.disbursement import disburse
from programme.districts import districts
from programme.equations import check_equations
from programme.policy import LeftOver, YearEndRule
from programme.registry import DecreeState
from programme.reports import as_csv, build_report
from programme.sweep import held_amounts, sweep
from protocols.values import SEN_PER_RUPIAH

pytestmark = pytest.mark.slow

FAMILIES = 1_688
MONTHS = ("2025-10", "2025-11", "2025-12")
BUDGET_RUPIAH = 1_519_200_000
DAY = date(2025, 11, 16)
HOLD = LeftOver(months=0, year_end=YearEndRule.HOLD)

#: The office that dies: it disburses what it is told, month by month, or sweeps the year.
CHILD = """
import random, sys, time
from datetime import date
from ledger import open_ledger
from programme import disbursement, sweep
from programme.actors import Actor, Agency
from programme.policy import LeftOver, YearEndRule
from programme.registry import Registry
from protocols.values import SecretBytes

class SystemClock:
    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

disbursement.DISBURSEMENT_GROUP_MAX = sweep.DISBURSEMENT_GROUP_MAX = 64
root, *work = sys.argv[1:]
bytes_of = random.SystemRandom().randbytes
registry = Registry.open(root + "/registry.sqlite", hmac_key=SecretBytes(b"h" * 32),
                         nik_key=SecretBytes(b"n" * 32), clock=SystemClock, random_bytes=bytes_of)
ledger = open_ledger(root + "/ledger", now_ns=time.time_ns, random_bytes=bytes_of)
maker, checker = Actor(Agency.DINSOS_PM, "staf-02"), Actor(Agency.DINSOS_PM, "staf-03")
print("ready", flush=True)
for period in work:
    if period == "sweep":
        sweep.sweep(ledger, registry, 1, date(2026, 1, 1), maker, checker,
                    rule=LeftOver(months=0, year_end=YearEndRule.HOLD))
    else:
        disbursement.disburse(ledger, registry, 1, period, 30_000_000, maker, checker)
print("done", flush=True)
"""


@pytest.fixture
def launch_file(tmp_path, decree_text):
    """Give the launch's decree: families over all villages in turn, budget year 2025."""
    villages = [(name, village) for name, inside in districts().items() for village in inside]
    head, rows = decree_text(FAMILIES).splitlines()[:10], []
    for index, row in enumerate(decree_text(FAMILIES).splitlines()[10:]):
        district, village = villages[index % len(villages)]
        rows.append(row.replace("Bukuan;Palaran", f"{village};{district}"))
    text = "\n".join([*head, *rows]) + "\n"
    path = tmp_path / "launch.csv"
    path.write_text(text.replace("tahun_anggaran: 2026", "tahun_anggaran: 2025"), "utf-8")
    return path


@pytest.fixture
def launched(registry, actors, launch_file, card_request):
    """Import and determine the decree, print a card for every family."""
    import_decree(registry, read_decree(launch_file), actors.diskominfo)
    for state, actor in [("verifikasi", actors.dinsos), ("validasi", actors.dinsos),
                         ("penetapan", actors.mayor)]:  # fmt: skip
        registry.decrees.move(1, DecreeState(state), actor)
    requests = [card_request(number) for number in range(1, FAMILIES + 1)]
    return registry.cards.issue(requests, actors.diskominfo)


def _work(root, *work, kill_after_s=None):
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), *work], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "ready\n"
        if kill_after_s is None:
            assert child.stdout.readline() == "done\n"
        else:
            time.sleep(kill_after_s)
            child.send_signal(signal.SIGKILL)


def _figures(ledger, registry):
    """Give what the city would publish, without what random ids decide."""
    names = ("disbursement", "balances")
    return [as_csv(build_report(name, ledger, registry, DAY)) for name in names]


def test_launch_of_2025_is_paid_to_the_rupiah_whatever_kills_it(
    registry, open_registry, launched, tmp_path
):
    registry.close()
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    open_ledger(tmp_path / "ledger", now_ns=time.time_ns, random_bytes=rng.randbytes,
                segment_size=1 << 20).close()  # fmt: skip
    for _death in range(2):
        _work(tmp_path, *MONTHS, kill_after_s=rng.uniform(0.02, 0.4))
    _work(tmp_path, *MONTHS)
    registry = open_registry()

    def opened():
        return closing(
            open_ledger(tmp_path / "ledger", now_ns=time.time_ns, random_bytes=rng.randbytes)
        )

    with opened() as ledger:
        accounts = ledger.lookup_accounts([card.account_id for card in launched])
        assert {a.credit_balance for a in accounts} == {900_000 * SEN_PER_RUPIAH}, seed
        report = build_report("disbursement", ledger, registry, DAY)
        assert report.total("credited") == BUDGET_RUPIAH * SEN_PER_RUPIAH, seed
        assert report.total("held") == 0, seed
        assert [e for e in check_equations(ledger, registry) if not e.holds] == [], seed
    _work(tmp_path, "sweep", kill_after_s=rng.uniform(0.02, 0.3))
    _work(tmp_path, "sweep")
    with opened() as ledger:
        held = held_amounts(ledger, 1)
        assert sum(item.amount_sen for item in held) == BUDGET_RUPIAH * SEN_PER_RUPIAH, seed
        assert len({(h.account_id, h.period) for h in held}) == len(held) == 3 * FAMILIES, seed
        (giro,) = ledger.lookup_accounts([chart_of(registry, 1).parent_giro])
        assert giro.credit_balance == BUDGET_RUPIAH * SEN_PER_RUPIAH, seed
        assert [e for e in check_equations(ledger, registry) if not e.holds] == [], seed


def test_launch_of_2025_twice_gives_the_same_figures(registry, ledger, actors, launched):
    for period in MONTHS:
        disburse(ledger, registry, 1, period, 30_000_000, actors.dinsos, actors.checker)
    first = _figures(ledger, registry)
    for period in MONTHS:
        again = disburse(ledger, registry, 1, period, None, actors.dinsos, actors.checker)
        assert (again.credited_count, again.credited_before_count) == (0, FAMILIES)
    assert _figures(ledger, registry) == first
    taken = sweep(ledger, registry, 1, date(2026, 1, 1), actors.dinsos, actors.checker, rule=HOLD)
    assert taken.swept_sen == BUDGET_RUPIAH * SEN_PER_RUPIAH
    assert first[0].count(f";{BUDGET_RUPIAH // 3};{FAMILIES};{BUDGET_RUPIAH // 3};0;") == 3
