"""Stage: DE7 lies near now. An old recording is refused before anything else is looked at.

Only for 0200: reversals and advices are late by nature (design decision 14).
"""

from datetime import UTC, datetime
from functools import lru_cache

from switch.limits import SECONDS_KEPT_MAX
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict

_SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * _SECOND_NS
_DAY_NS = 24 * 60 * _MINUTE_NS
#: Nearer to now than this, no other year's instant can be nearer.
_HALF_YEAR_NS = 182 * _DAY_NS


def check_window(context: Context) -> Verdict:
    """Refuse with 19 what was sent too long ago, or will be sent: the terminal tries again."""
    desk = context.desk
    window_ns = desk.rules.rules.message_window.minutes * _MINUTE_NS
    sent_ns = sent_at_ns(context.request.transmission_time, desk.now_ns)
    if sent_ns is None:
        return desk.rules.refuse("message-window", "30")
    if abs(desk.now_ns - sent_ns) > window_ns:
        return desk.rules.refuse("message-window", "19", "T01")
    return CONTINUE


def sent_at_ns(transmission_time: str, now_ns: int) -> int | None:
    """Give the instant of a DE7 (MMDDhhmmss, UTC) in nanoseconds, None when it is none.

    DE7 has no year: of last, this and next year's the nearest to now is meant.

    >>> new_year_ns = 1798761600 * 10**9  # 2027-01-01 00:00:00 UTC
    >>> (new_year_ns - sent_at_ns("1231235959", new_year_ns)) // 10**9
    1
    >>> sent_at_ns("1331000000", new_year_ns) is None
    True
    """
    candidates = _instants_ns(transmission_time, _year_of(now_ns // _DAY_NS))
    if candidates and abs(now_ns - candidates[0]) < _HALF_YEAR_NS:
        return candidates[0]
    return min(candidates, key=lambda sent_ns: abs(now_ns - sent_ns), default=None)


@lru_cache(maxsize=1)
def _year_of(unix_day: int) -> int:
    return datetime.fromtimestamp(unix_day * 86_400, UTC).year


@lru_cache(maxsize=SECONDS_KEPT_MAX)
def _instants_ns(transmission_time: str, year: int) -> tuple[int, ...]:
    """Give what a DE7 may mean around a year, that year first; nothing when it is no time."""
    if len(transmission_time) != 10 or not transmission_time.isdecimal():
        return ()
    month, day, hour, minute, second = (
        int(transmission_time[place : place + 2]) for place in range(0, 10, 2)
    )
    found = []
    for candidate in (year, year - 1, year + 1):
        try:
            moment = datetime(candidate, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            continue
        found.append(int(moment.timestamp()) * _SECOND_NS)
    return tuple(found)
