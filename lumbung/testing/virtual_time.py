"""One clock for many parts: an event queue that runs coroutines and calls in virtual time.

There is no event loop, no thread and no real time. Coroutines that wait for nothing but what a
`VirtualTime` gives them (`sleep`, `Moment`) run in it: whole terminals do, with a line, a slot and
a disk of yours. Two events of the same instant run in the order in which they were asked for, so a
run is the same each time.
"""

import heapq
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
Call = Callable[[], None]


class Timer:
    """A call that is due; `cancel` takes it back."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        """Made by `VirtualTime.after`."""
        self.call: Call | None = call

    def cancel(self) -> None:
        """Let it not happen. Idempotent."""
        self.call = None


class Moment(Generic[Value]):
    """Something that one coroutine waits for: it is given a value, or an error, once."""

    __slots__ = ("_error", "_task", "_value", "is_over")

    def __init__(self) -> None:
        """Begin with nothing given."""
        self.is_over = False
        self._value: Value | None = None
        self._error: BaseException | None = None
        self._task: Task | None = None

    def give(self, value: Value) -> None:
        """End the waiting; what comes after the first gift is ignored."""
        if not self.is_over:
            self.is_over, self._value = True, value
            self._wake()

    def fail(self, error: BaseException) -> None:
        """End the waiting with an error; ignored after the first gift."""
        if not self.is_over:
            self.is_over, self._error = True, error
            self._wake()

    def __await__(self) -> Generator["Moment[Any]", None, Value]:
        """Wait for the value; raise the error."""
        if not self.is_over:
            yield self
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # it was given, so it is a Value

    def _wake(self) -> None:
        if self._task is not None:
            self._task.resume()


class Task:
    """A coroutine under way."""

    def __init__(
        self, time: "VirtualTime", work: Coroutine[Any, None, Any], failed: "Failed | None"
    ) -> None:
        """Made by `VirtualTime.start`."""
        self._time = time
        self._work = work
        self._failed = failed
        self._thrown: BaseException | None = None
        self._waits_for: Moment[Any] | None = None
        self.is_over = False
        self.resume()

    def resume(self) -> None:
        """Go on at this instant, behind what is due already."""
        self._waits_for = None
        self._time.after(0, self._step)

    def interrupt(self, error: BaseException) -> None:
        """Have an error raised where it waits; does nothing to one that is over."""
        if self.is_over:
            return
        was_waiting = self._waits_for
        self._thrown = error
        if was_waiting is not None:
            was_waiting._task = None
            self.resume()

    def _step(self) -> None:
        if self.is_over:
            return
        thrown, self._thrown = self._thrown, None
        try:
            moment = self._work.send(None) if thrown is None else self._work.throw(thrown)
        except StopIteration:
            self.is_over = True
        except Exception as error:
            self.is_over = True
            if self._failed is None:
                raise
            self._failed(error)
        else:
            assert isinstance(moment, Moment), "a coroutine waits for virtual time alone"
            self._waits_for, moment._task = moment, self


#: Takes what a task raised.
Failed = Callable[[Exception], None]


class VirtualTime:
    """Nanoseconds that pass only from event to event.

    >>> time, seen = VirtualTime(), []
    >>> async def count():
    ...     for _ in range(3):
    ...         await time.sleep(5)
    ...         seen.append(time.passed_ns)
    >>> _ = time.start(count())
    >>> time.run(); seen
    [5, 10, 15]
    """

    def __init__(self) -> None:
        """Begin at 0."""
        self.passed_ns = 0
        self.events = 0
        self._queue: list[tuple[int, int, Timer]] = []
        self._number = 0

    def after(self, delay_ns: int, call: Call) -> Timer:
        """Have a function called once so much time has passed."""
        assert delay_ns >= 0, "nothing happens in the past"
        timer = Timer(call)
        self._number += 1
        heapq.heappush(self._queue, (self.passed_ns + delay_ns, self._number, timer))
        return timer

    def start(self, work: Coroutine[Any, None, Any], failed: Failed | None = None) -> Task:
        """Begin a coroutine at this instant; `failed` takes its error instead of the run."""
        return Task(self, work, failed)

    async def sleep(self, delay_ns: int) -> None:
        """Let time pass."""
        moment: Moment[None] = Moment()
        self.after(delay_ns, lambda: moment.give(None))
        await moment

    async def within(self, moment: Moment[Value], timeout_ns: int) -> Value:
        """Wait for a moment; raise TimeoutError when it does not come in time."""
        timer = self.after(timeout_ns, lambda: moment.fail(TimeoutError()))
        try:
            return await moment
        finally:
            timer.cancel()

    def run(self, until: Callable[[], bool] | None = None, after_each: Call | None = None) -> None:
        """Let events happen until none is left, or `until` says so before one."""
        while self._queue and not (until is not None and until()):
            self.passed_ns, _, timer = heapq.heappop(self._queue)
            if timer.call is None:
                continue
            self.events += 1
            timer.call()
            if after_each is not None:
                after_each()


class WallClock:
    """A clock of one machine in virtual time: it may be wrong, and may jump.

    >>> clock = WallClock(VirtualTime(), 1_000); clock.jump(-1); clock.now_ns()
    999
    """

    def __init__(self, time: VirtualTime, start_ns: int) -> None:
        """Show `start_ns` (UTC) now."""
        self._time = time
        self._offset_ns = start_ns - time.passed_ns

    def now_ns(self) -> int:
        """Give UTC in nanoseconds, as this machine believes it."""
        return self._time.passed_ns + self._offset_ns

    def monotonic_ns(self) -> int:
        """Give nanoseconds that never jump."""
        return self._time.passed_ns

    def jump(self, by_ns: int) -> None:
        """Set the wall clock forward or back."""
        self._offset_ns += by_ns
