"""Stage: DE7 lies near now. An old recording is refused before anything else is looked at.

Only for 0200: reversals and advices are late by nature (design decision 14).
"""

from datetime import UTC, datetime, timedelta

from protocols.business_time import utc
from switch.pipeline.context import Context
from switch.pipeline.verdict import CONTINUE, Verdict


def check_window(context: Context) -> Verdict:
    """Refuse with 19 what was sent too long ago, or will be sent: the terminal tries again."""
    desk = context.desk
    minutes = desk.rules.rules.message_window.minutes
    sent = sent_at(context.request.transmission_time, utc(desk.now_ns))
    if sent is None:
        return desk.rules.refuse("message-window", "30")
    if abs(utc(desk.now_ns) - sent) > timedelta(minutes=minutes):
        return desk.rules.refuse("message-window", "19")
    return CONTINUE


def sent_at(transmission_time: str, now: datetime) -> datetime | None:
    """Give the instant of a DE7 (MMDDhhmmss, UTC), None when it is none.

    DE7 has no year: of last, this and next year's the nearest to now is meant.

    >>> sent_at("1231235959", datetime(2027, 1, 1, 0, 1, tzinfo=UTC)).year
    2026
    """
    found = []
    for year in (now.year - 1, now.year, now.year + 1):
        try:
            moment = datetime.strptime(f"{year}{transmission_time}", "%Y%m%d%H%M%S")  # noqa: DTZ007
        except ValueError:
            continue
        found.append(moment.replace(tzinfo=UTC))
    return min(found, key=lambda moment: abs(moment - now), default=None)
