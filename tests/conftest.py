"""What every test may use: `need`, and the engines a run must have."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from lumbung.services import services

#: Benchmarks and fuzz targets are programs of their own, not tests.
collect_ignore_glob = ["bench/*", "fuzz/*"]

# The PC/SC library keeps the path that it first sees; set before any test, so that none ever talks
# to this machine's own readers. tests/test_terminal/test_terminal_pcsc.py starts a daemon there.
PCSC_FOLDER = Path(tempfile.gettempdir()) / f"lumbung-test-{os.getpid()}"
os.environ["PCSCLITE_CSOCK_NAME"] = str(PCSC_FOLDER / "run" / "pcscd.comm")

#: Files whose tests are end to end, touch the disk much, or try many cases: slow by what they are.
SLOW_FILES = frozenset(
    {
        "test_iso8583_damage.py",
        "test_iso8583_facts.py",
        "test_iso8583_refusals.py",
        "test_kernel_cases.py",
        "test_kernel_damage.py",
        "test_ledger_backup.py",
        "test_ledger_directory.py",
        "test_ledger_housekeeping.py",
        "test_ledger_native_loop.py",
        "test_ledger_oracle.py",
        "test_ledger_properties.py",
        "test_ledger_recovery.py",
        "test_ledger_sealing.py",
        "test_ledger_sealing_faults.py",
        "test_ledger_simulation.py",
        "test_lumbung_programme.py",
        "test_pin_pad.py",
        "test_printing_desk.py",
        "test_printing_escpos.py",
        "test_programme_api.py",
        "test_programme_api_schema.py",
        "test_programme_audit.py",
        "test_programme_bad_input.py",
        "test_programme_disbursement.py",
        "test_programme_disbursement_cards.py",
        "test_programme_equations.py",
        "test_programme_migrations.py",
        "test_programme_proposals.py",
        "test_programme_proxies.py",
        "test_programme_refunds.py",
        "test_programme_registry.py",
        "test_programme_registry_file.py",
        "test_programme_reports.py",
        "test_programme_roles.py",
        "test_programme_spelling.py",
        "test_programme_sweep.py",
        "test_switch_admin.py",
        "test_switch_control.py",
        "test_switch_journal.py",
        "test_switch_dialler.py",
        "test_switch_links.py",
        "test_switch_batch_states.py",
        "test_switch_certification.py",
        "test_switch_reconciliation.py",
        "test_switch_settlement.py",
        "test_switch_twins.py",
        "test_switch_server.py",
        "test_terminal_device.py",
        "test_terminal_device_faults.py",
        "test_terminal_socket_channel.py",
    }
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave slow files unread in the quick run: reading them would be a good part of it."""
    is_quick = config.option.markexpr.startswith("not slow")
    return True if is_quick and collection_path.name in SLOW_FILES else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow files, before the selection by markers."""
    for item in items:
        if item.path.name in SLOW_FILES:
            item.add_marker(pytest.mark.slow)


# A failing property prints its seed and smallest case; a deadline would make slow machines lie.
settings.register_profile(
    "lumbung", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", settings.get_profile("lumbung"), max_examples=15)
settings.load_profile(os.environ.get("LUMBUNG_PROFILE", "lumbung"))


@pytest.fixture(scope="session")
def need() -> Callable[[str], None]:
    """Give a function that skips the test when a service is missing, naming its install line.

    With LUMBUNG_REQUIRE=all a missing service is a failure: a run that claims all must have all.
    """

    def check(name: str) -> None:
        service = services()[name]
        missing = service.missing_for_tests()
        if not missing:
            return
        message = f"{name}: {missing}. {service.line_for_tests()}"
        if os.environ.get("LUMBUNG_REQUIRE") == "all":
            pytest.fail(message)
        pytest.skip(message)

    return check


@pytest.fixture(scope="session")
def pcsc_folder() -> Path:
    """Give where a private PC/SC daemon of this process must have its files."""
    return PCSC_FOLDER
