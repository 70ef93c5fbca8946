"""What takes real processes or many lines: SIGKILL amid a disbursement, a long decree."""

import random
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from ledger import open_ledger
from programme.decree import import_decree, read_decree
from programme.disbursement import disburse
from programme.equations import check_equations

pytestmark = pytest.mark.slow

#: The process that dies: it opens what the test made, disburses, and tells each group.
CHILD = """
import sys, time
from programme.actors import Actor, Agency
from programme import disbursement
from programme.registry import Registry
from protocols.values import SecretBytes
from ledger import open_ledger
import random

class SystemClock:
    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

disbursement.DISBURSEMENT_GROUP_MAX = 16
root, period = sys.argv[1:]
bytes_of = random.SystemRandom().randbytes
registry = Registry.open(root + "/registry.sqlite", hmac_key=SecretBytes(b"h" * 32),
                         nik_key=SecretBytes(b"n" * 32), clock=SystemClock, random_bytes=bytes_of)
ledger = open_ledger(root + "/ledger", now_ns=time.time_ns, random_bytes=bytes_of, engine="pure",
                     segment_size=1 << 20)
maker, checker = Actor(Agency.DINSOS_PM, "staf-02"), Actor(Agency.DINSOS_PM, "staf-03")
print("ready", flush=True)
disbursement.disburse(ledger, registry, 1, period, None, maker, checker,
                      on_group=lambda done, of: print(done, flush=True))
print("done", flush=True)
"""


def _run_and_kill(root, period, delay_s):
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, root, period], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        told = [line for line in child.stdout.read().split() if line.isdigit()]
    return int(told[-1]) if told else 0


def test_disbursement_killed_by_sigkill_and_resumed_credits_everybody_once(
    registry, open_registry, actors, determined, tmp_path, clock, random_bytes
):
    decree, cards = determined(400)
    registry.close()
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    months = ("2025-11", "2025-12", "2026-01")
    acknowledged = [_run_and_kill(str(tmp_path), m, rng.uniform(0, 0.15)) for m in months]
    opened = open_ledger(
        tmp_path / "ledger", now_ns=time.time_ns, random_bytes=random_bytes, engine="pure"
    )
    with closing(opened) as ledger:
        registry = open_registry()
        for period, told in zip(months, acknowledged, strict=True):
            result = disburse(ledger, registry, decree, period, None, actors.dinsos, actors.checker)
            assert result.credited_before_count >= told, f"seed {seed}: acknowledged, then lost"
            assert result.credited_sen + result.credited_before_sen == 400 * 30_000_000, seed
        balances = ledger.lookup_accounts([card.account_id for card in cards])
        assert {account.credit_balance for account in balances} == {3 * 30_000_000}, seed
        assert all(equation.holds for equation in check_equations(ledger, registry)), seed


def test_decree_of_25_000_lines_is_read_and_imported_in_a_second_or_two(
    registry, actors, tmp_path, decree_text
):
    path = tmp_path / "large.csv"
    path.write_text(decree_text(25_000), "utf-8")
    started = time.process_time()
    file = read_decree(path)
    read_s = time.process_time() - started
    result = import_decree(registry, file, actors.diskominfo)
    total_s = time.process_time() - started
    assert (result.new_people, registry.people.count()) == (25_000, 25_000)
    # About one second of processor time where this was written: a fault costs several times that.
    assert total_s < 6, f"read {read_s:.1f} s, with import {total_s:.1f} s of processor time"
    assert import_decree(registry, file, actors.diskominfo).changed is False
