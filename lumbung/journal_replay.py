"""Play a switch's journal again and say which answers differ: against a build, or over TCP.

Against a build the decision engine runs on a private copy of a data directory as it stood before
the journal's first message, under the journal's own clock. Session keys are random, so the sets
that the journal tells of are taken over instead of made. Messages are opened in memory only.
"""

import shutil
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lumbung.composition import Composition, compose
from lumbung.data_directory import DataDirectory, read_manifest
from lumbung.lines import deliver
from lumbung.system import system_random
from protocols.framing import EDC_FRAMES, frame
from protocols.iso8583 import Codec, Message, MessageError, PureCodec, diff, load_spec
from switch.assembly import Node, assemble
from switch.changes import KeySetIssued
from switch.config import SwitchConfig
from switch.journal import Entry, EntryKind
from switch.session import Arrival
from switch.work import run_work

#: Differences that are kept to be shown; all are counted.
DIFFERENCES_MAX = 100
#: Seconds for an answer over TCP.
_ANSWER_SECONDS = 5.0
_KEY_CHANGE = "161"
#: What follows from the rest, or from the ledger's chain, which another run writes at other times.
_NOT_COMPARED = frozenset({"64", "128", "63.slip_code"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with the answer that the journal tells of, None when there was none."""

    request: Entry
    answer: Entry | None


@dataclass(slots=True)
class ReplayReport:
    """What a replay found. A difference names the message and the element paths, masked."""

    played: int = 0
    same: int = 0
    unanswered: int = 0
    adopted: int = 0
    different: int = 0
    differences: list[str] = field(default_factory=list)

    def note(self, request: Message, told: list[str]) -> None:
        """Count one comparison."""
        self.played += 1
        if not told:
            self.same += 1
            return
        self.different += 1
        if len(self.differences) < DIFFERENCES_MAX:
            name = f"{request.mti} terminal {_text(request, 41)} stan {_text(request, 11)}"
            self.differences.append(f"{name}: {'; '.join(told)}")

    def as_json(self) -> dict[str, object]:
        """Give the report as JSON values."""
        return {
            "played": self.played, "same": self.same, "different": self.different,
            "unanswered": self.unanswered, "adopted_key_sets": self.adopted,
            "differences": self.differences,
        }  # fmt: skip


class ReplayClock:
    """A clock that stands at the message that is played."""

    def __init__(self, now_ns: int) -> None:
        """Begin at an instant."""
        self.at_ns = now_ns

    def now_ns(self) -> int:
        """Give the message's time."""
        return self.at_ns

    def monotonic_ns(self) -> int:
        """Give the same."""
        return self.at_ns


def exchanges(entries: Iterable[Entry], codec: PureCodec) -> Iterator[Exchange]:
    """Pair every request with its answer: the next one on its connection with its keys."""
    waiting: dict[tuple[object, ...], deque[int]] = defaultdict(deque)
    found: list[Exchange] = []
    for entry in entries:
        if entry.kind is EntryKind.REQUEST:
            waiting[_key(entry, codec)].append(len(found))
            found.append(Exchange(entry, None))
        elif entry.kind is EntryKind.ANSWER:
            places = waiting.get(_key(entry, codec))
            if places:
                place = places.popleft()
                found[place] = Exchange(found[place].request, entry)
    yield from found


def replay_on_copy(entries: Iterable[Entry], directory: Path, config: SwitchConfig) -> ReplayReport:
    """Play against this build, on a private copy of `directory`, which stays as it is."""
    codec: PureCodec = Codec(load_spec(config.listen.spec))
    pairs = list(exchanges(entries, codec))
    report = ReplayReport()
    if not pairs:
        return report
    clock = ReplayClock(pairs[0].request.time_ns)
    with tempfile.TemporaryDirectory(prefix="lumbung-replay-") as temporary:
        copy = Path(temporary) / "data"
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("*.sock", "journal"))
        manifest = read_manifest(copy)
        with (
            DataDirectory.open(
                copy, kind=manifest.kind, seed=manifest.seed, created=manifest.created
            ) as data,
            compose(data, clock, lambda _part: system_random) as parts,
        ):
            node = assemble(
                config, parts.registry, parts.keystore, parts.ledger, data.switch_state, clock,
                system_random,
            )  # fmt: skip
            try:
                for pair in pairs:
                    clock.at_ns = pair.request.time_ns
                    _play(pair, node, parts, codec, report)
            finally:
                node.state.close()
    return report


async def replay_over_tcp(
    entries: Iterable[Entry], host: str, port: int, config: SwitchConfig
) -> ReplayReport:
    """Play against a switch that runs; its keys are its own, so use it on the same directory."""
    codec: PureCodec = Codec(load_spec(config.listen.spec))
    report = ReplayReport()
    for pair in exchanges(entries, codec):
        request = pair.request
        data = frame(request.payload, request.tpdu, EDC_FRAMES)
        try:
            answer = await deliver(host, port, data, timeout_ms=int(_ANSWER_SECONDS * 1000))
        except (OSError, TimeoutError):
            answer = b""
        _compare(pair, answer, codec, report)
    return report


def _play(
    pair: Exchange, node: Node, parts: Composition, codec: PureCodec, report: ReplayReport
) -> None:
    if _adopt(pair, node, codec):
        report.adopted += 1
        return
    request = pair.request
    arrival = Arrival(request.connection, request.tpdu, request.payload, request.link)
    departures = node.core.receive([arrival], request.time_ns)
    while (work := node.core.next_work()) is not None:
        results = run_work(work, node.state, parts.ledger, node.months)
        departures += node.core.complete(results, request.time_ns)
    node.core.events.clear()
    payload = departures[0].payload if departures else b""
    _compare(pair, payload or b"", codec, report)


def _adopt(pair: Exchange, node: Node, codec: PureCodec) -> bool:
    """Take over the keys that a key change gave out."""
    answer = _message(pair.answer, codec)
    if answer is None or answer.mti != "0810" or answer.get(70) != _KEY_CHANGE or 48 not in answer:
        return False
    blocks = answer.parts(48)
    number = int(answer.text(61, "key_set"))
    issued = KeySetIssued(answer.text(41), number, str(blocks["mac"]), str(blocks["pin"]))
    known = node.core.desk.key_sets
    terminal = node.core.desk.registry.terminal(issued.terminal_id)
    if terminal is not None and number not in {keys.number for keys in known.valid(terminal)}:
        known.adopt(issued)
    return True


def _compare(pair: Exchange, payload: bytes, codec: PureCodec, report: ReplayReport) -> None:
    request = _message(pair.request, codec) or Message("0000", {})
    before, now = _message(pair.answer, codec), _decoded(payload, codec)
    if before is None:
        report.unanswered += 1
    if before is None or now is None:
        told = [] if before is now else [f"answered {'then' if now is None else 'now'} only"]
    else:
        found = diff(before, now, codec.spec)
        told = [str(one) for one in found if one.path not in _NOT_COMPARED]
    report.note(request, told)


def _key(entry: Entry, codec: PureCodec) -> tuple[object, ...]:
    message = _message(entry, codec)
    if message is None:
        return (entry.connection, entry.payload)
    return (entry.connection, message.mti[:2], *(message.get(n) for n in (11, 37, 41)))


def _message(entry: Entry | None, codec: PureCodec) -> Message | None:
    return None if entry is None else _decoded(entry.payload, codec)


def _decoded(payload: bytes, codec: PureCodec) -> Message | None:
    try:
        return codec.decode(payload) if payload else None
    except MessageError:
        return None


def _text(message: Message, number: int) -> str:
    found = message.get(number)
    return found if isinstance(found, str) else "?"
