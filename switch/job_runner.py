"""Runs jobs one after the other in a thread of their own, and says how far each is.

A job is a function that takes a `JobContext` and gives JSON values. It may be asked to stop between
two groups. What it raises is kept as its outcome; an assertion is a bug and is told loudly as well.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import structlog

from ledger.errors import LedgerError
from ledger.port import Ledger
from protocols.errors import LumbungError
from switch.jobs import BulkError
from switch.limits import JOBS_KEPT_MAX, JOBS_WAITING_MAX

_log = structlog.get_logger("switch")


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobStoppedError(LumbungError):
    """The job was told to stop; what it posted stands, a rerun goes on."""

    code = "E-SW-0111"


@dataclass(slots=True)
class Job:
    """One job: its number, how far it is, and in the end its result or its error."""

    number: int
    name: str
    state: JobState = JobState.WAITING
    done: int = 0
    of: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)
    error: LumbungError | LedgerError | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended."""
        return self.state in (JobState.DONE, JobState.FAILED)

    async def wait(self) -> None:
        """Wait until something about it changes; returns at once when it is over."""
        if not self.is_over:
            self.changed.clear()
            await self.changed.wait()

    def as_json(self) -> dict[str, Any]:
        """Give number, name, state and progress."""
        found: dict[str, Any] = {"job": self.number, "name": self.name, "state": self.state.value}
        found |= {"done": self.done, "of": self.of}
        if self.error is not None:
            found["error"] = self.error.code
        return found


class JobContext:
    """What a job gets: the ledger behind purchases, a way to tell its progress, when to stop."""

    def __init__(
        self, ledger: Ledger, tell: Callable[[int, int], None], stop: threading.Event
    ) -> None:
        """Take the parts."""
        self.ledger = ledger
        self._tell = tell
        self._stop = stop

    def progress(self, done: int, of: int) -> None:
        """Tell how far the job is; raise JobStoppedError when it shall stop."""
        self._tell(done, of)
        if self._stop.is_set():
            raise JobStoppedError("The switch stops: the job ended early.",
                                  fix="What was posted stands; run it again.")  # fmt: skip


#: What runs as a job.
JobFunction = Callable[[JobContext], Mapping[str, Any]]


class JobRunner:
    """One job at a time, in order; made and used on the loop's thread."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger that jobs write to; quick acts in other threads may use it too."""
        self.ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="switch-job")
        self._stop = threading.Event()
        self._next_number = 1
        self.jobs: OrderedDict[int, Job] = OrderedDict()

    def submit(self, name: str, function: JobFunction) -> Job:
        """Queue a job; raise BulkError when too many wait or the switch stops."""
        waiting = sum(1 for job in self.jobs.values() if job.state is JobState.WAITING)
        if waiting >= JOBS_WAITING_MAX or self._stop.is_set():
            raise BulkError("The switch takes no more jobs now.", fix="Ask again later.")
        job = Job(self._next_number, name)
        self._next_number += 1
        self.jobs[job.number] = job
        self._forget_old()
        outcome = self._loop.run_in_executor(self._executor, self._run, job, function)
        outcome.add_done_callback(lambda done: self._over(job, done))
        return job

    def find(self, number: int) -> Job:
        """Give a job by number; raise BulkError when it is not known any more."""
        job = self.jobs.get(number)
        if job is None:
            raise BulkError(f"There is no job {number}.", fix="Only the last ones are kept.")
        return job

    def stop(self) -> None:
        """Ask the running job to stop at its next group, and take no more."""
        self._stop.set()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def ended(self) -> None:
        """Wait until the thread is idle; `stop` came before."""
        for job in list(self.jobs.values()):
            while job.state is JobState.RUNNING:
                await job.wait()

    def _run(self, job: Job, function: JobFunction) -> Mapping[str, Any]:
        self._loop.call_soon_threadsafe(self._began, job)
        tell = self._tell_for(job)
        return function(JobContext(self.ledger, tell, self._stop))

    def _tell_for(self, job: Job) -> Callable[[int, int], None]:
        def tell(done: int, of: int) -> None:
            self._loop.call_soon_threadsafe(self._progressed, job, done, of)

        return tell

    def _began(self, job: Job) -> None:
        job.state = JobState.RUNNING
        _log.info("job began", job=job.number, name=job.name)
        job.changed.set()

    def _progressed(self, job: Job, done: int, of: int) -> None:
        job.done, job.of = done, of
        job.changed.set()

    def _over(self, job: Job, done: "asyncio.Future[Mapping[str, Any]]") -> None:
        if done.cancelled():
            job.state = JobState.FAILED
            job.error = JobStoppedError("The switch stopped before the job began.", fix="Again.")
        elif (error := done.exception()) is None:
            job.state, job.result = JobState.DONE, done.result()
            _log.info("job done", job=job.number, name=job.name)
        else:
            job.state = JobState.FAILED
            if isinstance(error, LumbungError | LedgerError):
                job.error = error
                _log.warning("job failed", job=job.number, name=job.name, code=error.code)
            else:
                job.error = LumbungError(
                    f"job {job.name}: a fault of the program ({type(error).__name__}).",
                    fix="See the switch's log.",
                )
                _log.error("job fault", job=job.number, name=job.name, exc_info=error)
        job.changed.set()

    def _forget_old(self) -> None:
        for number, job in list(self.jobs.items()):
            if len(self.jobs) <= JOBS_KEPT_MAX:
                return
            if job.is_over:
                del self.jobs[number]
