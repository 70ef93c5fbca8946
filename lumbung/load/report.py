"""What a load run gives: offered and achieved, latencies, codes, invariants, and a verdict."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lumbung.load.driver import Tally
from lumbung.load.histogram import Histogram
from lumbung.load.limits import ACHIEVED_MIN, REPORT_BYTES_MAX
from lumbung.load.schedule import LoadError

_FORMAT = 1
_FIX = "Give a file that `lumbung load run --json` wrote."


@dataclass(frozen=True, slots=True)
class Invariant:
    """A statement that must hold after a run, and what was seen where it does not."""

    name: str
    holds: bool
    detail: str = ""


@dataclass(slots=True)
class LoadReport:
    """One run. Rates are messages a second; latencies microseconds."""

    profile: str
    connections: int
    messages: int
    offered_per_s: float
    achieved_per_s: float
    unanswered: int
    lost_connections: int
    strangers: int
    codes: dict[str, int]
    from_intended_us: dict[str, float]
    from_send_us: dict[str, float]
    invariants: list[Invariant] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Give every reason why this run is no PASS."""
        found = []
        if self.achieved_per_s < ACHIEVED_MIN * self.offered_per_s:
            found.append(
                f"achieved {self.achieved_per_s:g}/s is below {ACHIEVED_MIN:.0%} of the offered "
                f"{self.offered_per_s:g}/s"
            )
        if self.unanswered:
            found.append(f"{self.unanswered} messages without an answer")
        if not self.codes.get("00"):
            found.append("nothing was approved: the run shows nothing")
        found += [f"{code}: {n} answers not to be believed" for code, n in self._unbelieved()]
        found += [f"{i.name}: {i.detail}" for i in self.invariants if not i.holds]
        return found

    @property
    def verdict(self) -> str:
        """Give PASS or FAIL."""
        return "FAIL" if self.faults else "PASS"

    def as_json(self) -> dict[str, Any]:
        """Give the report as JSON values."""
        return {
            "format": _FORMAT, "verdict": self.verdict, "faults": self.faults,
            "profile": self.profile, "connections": self.connections, "messages": self.messages,
            "offered_per_s": self.offered_per_s, "achieved_per_s": self.achieved_per_s,
            "unanswered": self.unanswered, "lost_connections": self.lost_connections,
            "strangers": self.strangers, "codes": dict(sorted(self.codes.items())),
            "from_intended_us": self.from_intended_us, "from_send_us": self.from_send_us,
            "invariants": [
                {"name": i.name, "holds": i.holds, "detail": i.detail} for i in self.invariants
            ],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Give the report for people."""
        codes = ", ".join(f"{code} {count}" for code, count in sorted(self.codes.items()))
        lines = [
            f"{self.verdict}  {self.messages} messages, {self.profile}, "
            f"{self.connections} connections",
            f"  offered {self.offered_per_s:g}/s, achieved {self.achieved_per_s:g}/s, "
            f"{self.unanswered} unanswered; DE39: {codes}",
        ]
        for name, values in (
            ("from intended start", self.from_intended_us), ("from sending", self.from_send_us),
        ):  # fmt: skip
            told = "  ".join(f"{key} {value:,.0f}" for key, value in values.items())
            lines.append(f"  {name:<20} us: {told}")
        lines += [f"  {'ok ' if i.holds else 'NOT'} {i.name} {i.detail}" for i in self.invariants]
        return lines + [f"  because {fault}" for fault in self.faults]

    def _unbelieved(self) -> list[tuple[str, int]]:
        return [(code, self.codes[code]) for code in _UNBELIEVED if code in self.codes]


#: Answers that a terminal would throw away: no MAC, a wrong ARPC, no message at all.
_UNBELIEVED = ("mac", "arpc", "format")


def make_report(
    profile: str,
    connections: int,
    seconds: float,
    starts_ns: list[int],
    tally: Tally,
    codes: Counter[str],
) -> LoadReport:
    """Give the report of an open run of `seconds`, its invariants still to come."""
    intended, sending = Histogram(), Histogram()
    begin = tally.begin_ns
    for start, sent, answered in zip(starts_ns, tally.sent_ns, tally.answered_ns, strict=True):
        if answered:
            intended.record(answered - begin - start)
            sending.record(answered - sent)
    count, answered_count = len(starts_ns), tally.answered
    return LoadReport(
        profile, connections, count, round(count / seconds, 1),
        round(answered_count / max(seconds, tally.seconds), 1), count - answered_count,
        tally.lost_connections, tally.strangers, dict(codes),
        intended.summary_us(), sending.summary_us(),
    )  # fmt: skip


def read_report(path: Path) -> dict[str, Any]:
    """Give a report written by `load run --json`; raise LoadError when it is none."""
    try:
        if path.stat().st_size > REPORT_BYTES_MAX:
            raise LoadError(f"{path}: too large for a load report.")
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(f"{path}: cannot be read ({type(error).__name__}).", fix=_FIX) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise LoadError(f"{path}: not a load report of format {_FORMAT}.", fix=_FIX)
    return content


def compare(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Give (figure, first, second) of what both reports have."""
    rows = [
        (name, float(first[name]), float(second[name]))
        for name in ("offered_per_s", "achieved_per_s", "unanswered")
    ]
    for group in ("from_intended_us", "from_send_us"):
        rows += [
            (f"{group}.{key}", float(value), float(second[group][key]))
            for key, value in first[group].items()
            if key in second[group]
        ]
    return rows
