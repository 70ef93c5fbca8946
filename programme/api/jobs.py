"""Long acts asked over HTTP: a number at once, progress and outcome when asked for.

What a job did is in ledger and registry; this table only tells. Asked again after a stop, the act
goes on where it was: its ids say what stands.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any

from pydantic import Field

from ledger.errors import LedgerError
from programme.actors import Actor
from programme.api.errors import ApiError, ErrorText, body_of
from programme.api.services import Services
from programme.limits import API_JOBS_KEPT_MAX, API_JOBS_WAITING_MAX
from programme.rows import Row, named
from protocols.errors import LumbungError


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobRow(Row):
    """A job: what, who asked, how far it is, and in the end its result or its error."""

    job: int = Field(examples=[3])
    act: str = Field(examples=["carry-out"])
    by: str
    state: JobState
    done: int
    of: int
    result: dict[str, Any] = Field(default_factory=dict)
    error: ErrorText | None = None


class JobRows(Row):
    """The jobs that are remembered, oldest first."""

    jobs: list[JobRow]


class Jobs:
    """One job after the other, each in a thread of its own; a switch puts them in order too."""

    def __init__(self, services: Services) -> None:
        """Begin without any."""
        self._services = services
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="api-job")
        self._rows: OrderedDict[int, JobRow] = OrderedDict()
        self._lock = threading.Lock()
        self._next = 1

    def submit(self, act: str, arguments: Mapping[str, Any], actor: Actor) -> JobRow:
        """Queue an act and give its job; raise ApiError when too many wait."""
        with self._lock:
            open_jobs = sum(1 for row in self._rows.values() if row.state in _OPEN)
            if open_jobs >= API_JOBS_WAITING_MAX:
                raise ApiError("api.busy")
            row = JobRow(
                job=self._next, act=act, by=named(actor), state=JobState.WAITING, done=0, of=0
            )
            self._next += 1
            self._rows[row.job] = row
            for number in [n for n, old in self._rows.items() if old.state not in _OPEN]:
                if len(self._rows) > API_JOBS_KEPT_MAX:
                    del self._rows[number]
        self._executor.submit(self._run, row.job, act, dict(arguments), actor)
        return row

    def get(self, number: int) -> JobRow:
        """Give a job as it stands; raise ApiError for one that is not remembered."""
        with self._lock:
            if number not in self._rows:
                raise ApiError("api.no_job", job=number)
            return self._rows[number]

    def all(self) -> JobRows:
        """Give the jobs that are remembered."""
        with self._lock:
            return JobRows(jobs=list(self._rows.values()))

    def close(self) -> None:
        """Take no more, and wait for the one that runs."""
        self._executor.shutdown(cancel_futures=True)

    def _run(self, number: int, act: str, arguments: Mapping[str, Any], actor: Actor) -> None:
        self._set(number, state=JobState.RUNNING)

        def tell(done: int, of: int) -> None:
            self._set(number, done=done, of=of)

        try:
            result = self._services.do(act, arguments, actor, tell)
        except (LumbungError, LedgerError) as error:
            told = ErrorText(**body_of(error)["error"])
            self._set(number, state=JobState.FAILED, error=told)
        except BaseException:
            told = ErrorText(**body_of(ApiError("api.fault"))["error"])
            self._set(number, state=JobState.FAILED, error=told)
            raise
        else:
            self._set(number, state=JobState.DONE, result=result)

    def _set(self, number: int, **values: Any) -> None:
        with self._lock:
            self._rows[number] = self._rows[number].model_copy(update=values)


_OPEN = frozenset({JobState.WAITING, JobState.RUNNING})
