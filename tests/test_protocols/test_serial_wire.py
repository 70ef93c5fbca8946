"""Two ends of a serial line under one clock, on lines that lose and change bytes by seed."""

import random

import pytest

from protocols.limits import SERIAL_QUIET_MS
from protocols.serial_line import LineOutcome, LineSpec, SendResult, SerialLine

QUIET = (SERIAL_QUIET_MS + 1) * 1_000_000


class Wire:
    """Two ends on a bad line under one clock: bytes are lost, changed or added by seed."""

    def __init__(self, seed: int, damage: float) -> None:
        """Take the seed and how likely each byte suffers."""
        self.seed = seed
        self.chance = random.Random(seed)
        self.damage = damage
        self.now = QUIET
        self.ends = [
            SerialLine(LineSpec(is_primary=True, bits_per_second=9_600), 0),
            SerialLine(LineSpec(bits_per_second=9_600), 0),
        ]
        self.free = [0, 0]
        self.flying: list[tuple[int, int, int]] = []
        self.heard: list[list[bytes]] = [[], []]
        self.results: list[list[SendResult]] = [[], []]

    def take(self, end: int, out: LineOutcome) -> None:
        """Put what an end writes on the line, byte by byte at its rate."""
        self.heard[end].extend(out.delivered)
        self.results[end].extend(out.results)
        for one in out.write:
            at = max(self.now, self.free[end]) + 1_041_667
            self.free[end] = at
            fate = self.chance.random()
            if fate < self.damage:
                continue
            if fate < 2 * self.damage:
                one ^= 0x80  # no control character becomes another: eight bits prove nothing more
            self.flying.append((at, 1 - end, one))
        self.flying.sort()

    def run(self) -> None:
        """Go from event to event until both ends are idle and the line is empty."""
        for _ in range(20_000):
            due = [(end.deadline_ns, n) for n, end in enumerate(self.ends) if end.deadline_ns]
            arriving = self.flying[:1]
            if not due and not arriving:
                return
            if arriving and (not due or arriving[0][0] <= min(due)[0]):
                self.now, end, one = self.flying.pop(0)
                self.take(end, self.ends[end].feed(bytes([one]), self.now))
            else:
                self.now, end = min(due)
                self.take(end, self.ends[end].tick(self.now))
        raise AssertionError("it never ends")


def talk(seed: int, damage: float, rounds: int) -> tuple[Wire, list[list[bytes]]]:
    """Let both ends send messages over one bad line."""
    wire = Wire(seed, damage)
    said: list[list[bytes]] = [[], []]
    for number in range(rounds):
        for end in (0, 1):
            if wire.chance.random() < 0.7:
                content = f"{end}:{number}:".encode() + wire.chance.randbytes(20)
                said[end].append(content)
                wire.take(end, wire.ends[end].send(content, wire.now))
        wire.run()
        wire.now += QUIET
    return wire, said


def check_talk(wire: Wire, said: list[list[bytes]]) -> None:
    """Each end heard the other's messages at most once, in order, and all that count as sent.

    What two wrong bytes under one LRC let through is counted as heard; a MAC inside would find it.
    """
    for end in (0, 1):
        heard, results = wire.heard[1 - end], wire.results[end]
        true = [content for content in heard if content in said[end]]
        assert len(results) == len(said[end])
        assert [content for content in said[end] if content in true] == true, f"seed {wire.seed}"
        damaged = len(heard) - len(true)
        sent = [c for c, r in zip(said[end], results, strict=True) if r is SendResult.SENT]
        assert len([content for content in sent if content not in true]) <= damaged, (
            f"seed {wire.seed}"
        )


@pytest.mark.parametrize("seed", range(6))
def test_serial_two_ends_on_a_bad_line_deliver_at_most_once_in_order(seed: int) -> None:
    wire, said = talk(seed, 0.004, 6)
    check_talk(wire, said)


def test_serial_two_ends_on_a_good_line_deliver_everything() -> None:
    wire, said = talk(1, 0.0, 5)
    assert wire.heard == [said[1], said[0]]
    check_talk(wire, said)


@pytest.mark.slow
def test_serial_two_ends_on_many_bad_lines_deliver_at_most_once_in_order() -> None:
    for seed in range(100, 160):
        check_talk(*talk(seed, 0.003 if seed % 2 else 0.02, 8))
