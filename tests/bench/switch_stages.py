"""What each step of a purchase costs the switch: the core alone, without sockets, on one thread.

Medians of calls, so that what else the machine does drops out. `core-whole` is the core as it runs,
`plain-*` are its native steps where they were built; `stage-*`, and `core-stages` together, are the
stages in Python, which decide all that is not plain.
"""

import asyncio
import gc
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import figures

from lumbung.composition import compose
from lumbung.data_directory import DataDirectory, read_manifest
from lumbung.load import crew
from lumbung.load.crew import load_cards, log_on_all
from lumbung.load.messages import CODEC, TPDU, purchases
from lumbung.system import SystemClock, system_random
from protocols.framing import EDC_FRAMES, Framer
from protocols.iso8583 import Message
from switch import pipeline
from switch.assembly import Node, assemble
from switch.config import SwitchConfig
from switch.session import Arrival
from switch.work import make_durable, read_results

#: 933 cards with 40 sales a day: far below what a day's rules allow.
COUNT, TURN = 19_200, 64


class Stopwatch:
    """Takes the time of named steps, call by call."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        #: Of what the steps belong to that both ways have.
        self.prefix = "plain-"

    def around(
        self,
        name: str,
        function: Callable[..., Any],
        clock: Callable[[], float] = time.perf_counter,
    ) -> Callable[..., Any]:
        """Give the function with its time taken."""

        def timed(*given: Any, **named: Any) -> Any:
            began = clock()
            try:
                return function(*given, **named)
            finally:
                took = clock() - began
                self.seconds.setdefault(name, []).append(took)

        return timed


class Timed:
    """The native core of plain sales with its time taken."""

    def __init__(self, native: Any, watch: Stopwatch) -> None:
        self.use_terms = native.use_terms
        self.receive = watch.around("plain-receive", native.receive, time.thread_time)
        self.complete = watch.around("plain-complete", native.complete, time.thread_time)


def stage_costs(directory: Path, copy: Path, subject: str) -> list[figures.Row]:
    """Give microseconds per purchase of each stage and step, and of all together."""
    shutil.copytree(directory, copy)
    manifest = read_manifest(copy)
    watch, purchase_stages = Stopwatch(), pipeline.PURCHASE
    with (
        DataDirectory.open(
            copy, kind=manifest.kind, seed=manifest.seed, created=manifest.created
        ) as data,
        compose(data, SystemClock(), lambda _part: system_random) as parts,
    ):
        node = assemble(
            SwitchConfig(), parts.registry, parts.keystore, parts.ledger, data.switch_state,
            parts.clock, system_random,
        )  # fmt: skip
        arrivals = _arrivals(parts, node)
        gc.collect()
        gc.freeze()
        plain = node.core._plain
        whole = _run(node, parts, arrivals[: COUNT // 3], Stopwatch())
        native = plain._native
        if native is not None:
            plain._native = Timed(native, watch)
            _run(node, parts, arrivals[COUNT // 3 : 2 * COUNT // 3], watch)
            plain._native = None
        watch.prefix = "stage-"
        pipeline.PURCHASE = tuple(
            watch.around(stage.__name__.replace("check_", "stage-", 1), stage)
            for stage in purchase_stages
        )
        reception = node.core._doors["edc"].reception
        reception.receive = watch.around("stage-reception", reception.receive)  # type: ignore[method-assign]
        send = node.core._send
        node.core._send = watch.around("stage-answer", send)  # type: ignore[method-assign]
        try:
            staged = _run(node, parts, arrivals[2 * COUNT // 3 :], watch)
        finally:
            pipeline.PURCHASE = purchase_stages
            node.state.close()
    done = COUNT // 3
    return [
        *(
            figures.Row(suite="switch", case=name, subject=subject, metric="us",
                        value=round(median(calls) * len(calls) / done * 1e6, 1), unit="us")
            for name, calls in watch.seconds.items()
        ),
        figures.Row(suite="switch", case="core-whole", subject=subject, metric="us",
                    value=round(whole * 1e6, 1), unit="us"),
        figures.Row(suite="switch", case="core-stages", subject=subject, metric="us",
                    value=round(staged * 1e6, 1), unit="us"),
    ]  # fmt: skip


def _arrivals(parts: Any, node: Node) -> list[Arrival]:
    async def exchange(payload: bytes, _host: str, _port: int) -> Message:
        departures = _turn(node, parts, [Arrival(1, TPDU, payload)], Stopwatch())
        assert departures[0].payload is not None
        return CODEC.decode(departures[0].payload)

    over_tcp, crew._exchange = crew._exchange, exchange
    try:
        now_ns = parts.clock.now_ns()
        terminals = asyncio.run(log_on_all(parts, "in process", 0, now_ns))
    finally:
        crew._exchange = over_tcp
    made = purchases(terminals, load_cards(parts, parts.ledger), 100, COUNT, now_ns)
    framer = Framer(EDC_FRAMES)
    return [
        Arrival(number % TURN, framed.tpdu, framed.payload)
        for number, purchase in enumerate(made)
        for framed in framer.feed(purchase.frame)
    ]


def _run(node: Node, parts: Any, arrivals: list[Arrival], watch: Stopwatch) -> float:
    """Run all in turns; give processor seconds per purchase: the median turn's, of all threads."""
    took = []
    for place in range(0, len(arrivals), TURN):
        began = time.process_time()
        departures = _turn(node, parts, arrivals[place : place + TURN], watch)
        took.append(time.process_time() - began)
        assert all(departure.payload is not None for departure in departures)
    assert node.core.counters["0200/00"] % (COUNT // 3) == 0, node.core.counters
    return median(took) / TURN


def _turn(node: Node, parts: Any, arrivals: list[Arrival], watch: Stopwatch) -> list[Any]:
    core = node.core
    departures = core.receive(arrivals, parts.clock.now_ns())
    while (work := core.next_work()) is not None:
        posted = watch.around(f"{watch.prefix}ledger", make_durable)(work, node.state, parts.ledger)
        results = watch.around(f"{watch.prefix}readings", read_results, time.thread_time)(
            work, posted, parts.ledger, node.months
        )
        departures += core.complete(results, parts.clock.now_ns())
    core.events.clear()
    return departures
