"""How a node is put together from its parts: rules, state, memory, keys, core."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from ledger.port import Ledger
from programme.registry_port import RegistryReader
from protocols.business_time import wita
from protocols.clock import Clock, RandomBytes
from protocols.iso8583 import Codec, PureCodec, load_spec
from switch.buckets import TokenBuckets
from switch.chip import ChipKeys
from switch.config import SwitchConfig
from switch.core import SwitchCore
from switch.key_sets import KeySets, KeySource
from switch.memory import Memory
from switch.months import MonthBook
from switch.pipeline.context import Desk
from switch.reception import Door, Reception
from switch.rules import load_rules
from switch.state import StateFile, StateForeignError, StateLostError

_DAY = timedelta(days=1)
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Node:
    """A switch node without its sockets."""

    core: SwitchCore
    state: StateFile
    months: MonthBook


def assemble(
    config: SwitchConfig,
    registry: RegistryReader,
    keystore: KeySource,
    ledger: Ledger,
    state_path: Path,
    clock: Clock,
    random_bytes: RandomBytes,
) -> Node:
    """Open the state file and rebuild the rest from the ledger: a day's records, or all at first.

    Raises ConfigurationError, StateError, LedgerError, and LumbungError for a missing key.
    """
    rules = load_rules(config.rules)
    chip_keys = ChipKeys(keystore.get(config.keys.issuer_cryptogram))
    pin_key = keystore.get(config.keys.pin_verification)
    shift_ns = cut_over_shift_ns(config)
    state = StateFile(state_path)
    snapshot = state.load()
    memory = Memory(snapshot, wita(clock.now_ns() + shift_ns).date())
    if memory.replay_after > ledger.last_sequence:
        state.close()
        raise StateForeignError(
            f"{state_path} has seen more of the ledger than the ledger holds.",
            fix="The ledger was rolled back, or the file belongs to another one: restore both.",
        )
    memory.replay(
        ledger.entries(memory.replay_after), lambda number: ledger.lookup_entries([number])[0]
    )
    is_lost = snapshot.business_date is None and bool(memory.atc_marks.marks)
    if is_lost and not config.accept_lost_state:
        state.close()
        raise StateLostError(
            f"The ledger has sales, and the switch's state file {state_path} is new: it was lost.",
            fix="Restore it from its backup. Without one set accept_lost_state = true in"
            " switch.toml for one start: PIN tries, changed PINs, batches and keys begin anew.",
        )
    key_sets = KeySets(snapshot, keystore, random_bytes, memory.changes)
    doors = {}
    for link in config.all_links:
        codec = codec_of(link.spec)
        # Keys are of the dialect, not the port: a repeat may come over another link (decision 5).
        doors[link.link] = Door(codec, Reception(codec, link.spec, registry, key_sets))
    in_force = rules.on(memory.business_date)
    core = SwitchCore(
        doors,
        Desk(registry, in_force, memory, key_sets, chip_keys, pin_key, reader=ledger),
        buckets=TokenBuckets(config.terminals.per_second, config.terminals.burst),
        cut_over_shift_ns=shift_ns,
        in_flight_maximum=config.connections.total_in_flight_maximum,
        in_flight_per_connection=config.connections.in_flight_maximum,
    )
    if is_lost:
        core.events.append(("state-lost", {"file": state_path.name}))
    return Node(core, state, MonthBook(ledger))


@cache
def codec_of(spec: str) -> PureCodec:
    """Give the codec of a spec; its compiled plans serve every node of the process."""
    return Codec(load_spec(spec))


def cut_over_shift_ns(config: SwitchConfig) -> int:
    """Give what to add to an instant so that its date in WITA is the business date.

    A cut-over at 23:00 makes 23:00 the first instant of the next business date: one hour.
    """
    cut_over = config.business_day.cut_over
    since_midnight = timedelta(
        hours=cut_over.hour, minutes=cut_over.minute, seconds=cut_over.second
    )
    return int(((_DAY - since_midnight) % _DAY).total_seconds()) * _NANOSECONDS
