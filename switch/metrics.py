"""What a node tells Prometheus: counters of answers, times of stages, queues.

The text exposition is written here; it needs no library. Labels are codes, kinds and link names:
never a card, a shop or a terminal. Source: Prometheus exposition format 0.0.4.
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from switch.histogram import DurationHistogram

if TYPE_CHECKING:
    from switch.core import SwitchCore

#: One turn in so many is timed stage by stage: the clock costs more than most stages.
STAGE_SAMPLE_TURNS = 128


class StageWatch:
    """Takes the time between two stages of one message; given to the desk for a timed turn."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        """Take the clock."""
        self._monotonic_ns = monotonic_ns
        self._since_ns = 0
        self.stages: dict[str, DurationHistogram] = {}

    def begin(self) -> None:
        """Begin a message's stages."""
        self._since_ns = self._monotonic_ns()

    def lap(self, stage: str) -> None:
        """Count the time since the stage before."""
        now_ns = self._monotonic_ns()
        taken = self.stages.get(stage)
        if taken is None:
            taken = self.stages[stage] = DurationHistogram()
        taken.record(now_ns - self._since_ns)
        self._since_ns = now_ns


class NodeMetrics:
    """Everything that is counted beside the core's own counters."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        """Begin with nothing counted."""
        self.watch = StageWatch(monotonic_ns)
        self.turn = DurationHistogram()
        self.durable = DurationHistogram()
        self.answer = DurationHistogram()
        self.bulk = DurationHistogram()
        self.messages = 0
        self.turns = 0
        self.cuts: Counter[str] = Counter()
        self.host_reports: Counter[str] = Counter()
        self.refused_connections = 0
        self.is_full = False
        self.is_registry_stale = False

    def begin_turn(self, core: "SwitchCore") -> None:
        """Have every so-manieth turn timed stage by stage."""
        self.turns += 1
        core.desk.watch = self.watch if self.turns % STAGE_SAMPLE_TURNS == 1 else None

    def end_turn(self, messages: int, duration_ns: int) -> None:
        """Count a turn."""
        self.messages += messages
        self.turn.record(duration_ns)


def exposition(
    metrics: NodeMetrics,
    counters: dict[str, int],
    gauges: dict[str, float],
    connections: dict[str, int],
) -> str:
    """Give the text that Prometheus reads. `counters` are the core's, by `mti/DE39` or by name."""
    lines = _head("lumbung_switch_answers_total", "counter", "Answers by message type and DE39.")
    for name, count in sorted(counters.items()):
        mti, slash, code = name.partition("/")
        if slash:
            lines.append(
                f'lumbung_switch_answers_total{{mti="{_safe(mti)}",code="{code}"}} {count}'
            )
    lines += _head("lumbung_switch_events_total", "counter", "Repeats that waited, and cuts.")
    lines += [
        f'lumbung_switch_events_total{{event="{_safe(name)}"}} {count}'
        for name, count in sorted(counters.items())
        if "/" not in name
    ]
    lines += _head("lumbung_switch_cuts_total", "counter", "Connections cut, by reason.")
    lines += [
        f'lumbung_switch_cuts_total{{reason="{_safe(reason)}"}} {count}'
        for reason, count in sorted(metrics.cuts.items())
    ]
    lines += _head("lumbung_switch_connections", "gauge", "Open connections by link.")
    lines += [
        f'lumbung_switch_connections{{link="{_safe(link)}"}} {count}'
        for link, count in sorted(connections.items())
    ]
    lines += _head("lumbung_switch_host_reports_total", "counter", "What links to hosts told.")
    for name, count in sorted(metrics.host_reports.items()):
        host, _, kind = name.partition("/")
        labels = f'host="{_safe(host)}",report="{_safe(kind)}"'
        lines.append(f"lumbung_switch_host_reports_total{{{labels}}} {count}")
    for name, value in sorted(gauges.items()):
        lines += _head(f"lumbung_switch_{name}", "gauge", _GAUGES[name])
        lines.append(f"lumbung_switch_{name} {value:g}")
    return "\n".join([*lines, *_times(metrics)]) + "\n"


def _times(metrics: NodeMetrics) -> list[str]:
    name = "lumbung_switch_step_seconds"
    lines = _head(name, "histogram", "A turn of messages, its durable work, its answers, a group.")
    for step in ("turn", "durable", "answer", "bulk"):
        lines += getattr(metrics, step).exposition(name, f'step="{step}"')
    name = "lumbung_switch_stage_seconds"
    lines += _head(name, "histogram", f"Stages, in one turn of {STAGE_SAMPLE_TURNS}.")
    for stage, taken in sorted(metrics.watch.stages.items()):
        lines += taken.exposition(name, f'stage="{_safe(stage)}"')
    return lines


#: The gauges, with what they mean.
_GAUGES = {
    "in_flight": "Requests that have no answer yet.",
    "unfit": "1 while the node decides nothing any more.",
    "draining": "1 while the node finishes and takes nothing new.",
    "ledger_full": "1 when the ledger has refused work for want of room.",
    "refused_connections": "Connections refused at the cap.",
    "journal_short_hours": "Hours that the journal reached back when it was too short; 0: never.",
    "messages": "Messages decided.",
    "ledger_sequence": "The last durable record.",
    "jobs_waiting": "Jobs that wait or run.",
    "journal_dropped": "Journal records dropped because its queue was full.",
    "journal_queued": "Journal records that wait to be written.",
}


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _safe(label: str) -> str:
    return "".join(c if c.isalnum() or c in " ._-" else "_" for c in label)[:64]
