"""WITA for people, UTC inside (design decision 17, domain.md 4.6).

Samarinda keeps UTC+8 without summer time (zone Asia/Makassar), so the offset is a constant and no
zone database is read. The business date is a field of its own that cut-over moves; nothing here
derives it from the clock.
"""

from datetime import UTC, date, datetime, timedelta, timezone

WITA = timezone(timedelta(hours=8), "WITA")

#: The first day of Unix time as `date` counts days, and WITA's distance and a day in nanoseconds.
_UNIX_DAY_1 = date(1970, 1, 1).toordinal()
_AHEAD_NS = 8 * 3_600 * 10**9
_DAY_NS = 24 * 3_600 * 10**9

#: Day 0 of the business dates that records pack into 16 bits: good until 2199.
BUSINESS_EPOCH = date(2020, 1, 1)


def utc(now_ns: int) -> datetime:
    """Give the instant as an aware UTC datetime, to the microsecond."""
    return datetime.fromtimestamp(now_ns // 1_000_000_000, UTC) + timedelta(
        microseconds=now_ns % 1_000_000_000 // 1_000
    )


def wita(now_ns: int) -> datetime:
    """Give the instant as people in Samarinda read it.

    >>> wita(1767575647 * 10**9).isoformat()
    '2026-01-05T09:14:07+08:00'
    """
    return utc(now_ns).astimezone(WITA)


def wita_date(now_ns: int) -> date:
    """Give the date of an instant in Samarinda.

    >>> wita_date(1767628799 * 10**9), wita_date(1767628800 * 10**9)
    (datetime.date(2026, 1, 5), datetime.date(2026, 1, 6))
    """
    return date.fromordinal(_UNIX_DAY_1 + (now_ns + _AHEAD_NS) // _DAY_NS)


def wita_midnight_ns(day: date) -> int:
    """Give the first instant of a date in Samarinda.

    >>> wita_midnight_ns(date(2026, 1, 6)) == 1767628800 * 10**9
    True
    """
    return (day.toordinal() - _UNIX_DAY_1) * _DAY_NS - _AHEAD_NS


def transmission_time(now_ns: int) -> str:
    """Give DE7 (MMDDhhmmss, UTC on `edc`). Source: ISO 8583:1987 element 7."""
    return utc(now_ns).strftime("%m%d%H%M%S")


def rrn_for(now_ns: int, stan: int) -> str:
    """Give DE37 as the terminal assigns it: YDDDHH + STAN in WITA (design decision 5).

    >>> rrn_for(1767575647 * 10**9, 345)
    '600509000345'
    """
    local = wita(now_ns)
    return f"{local.year % 10}{local.timetuple().tm_yday:03d}{local.hour:02d}{stan:06d}"


def business_day_number(day: date) -> int:
    """Give days since 2020-01-01, 0 to 65535."""
    number = (day - BUSINESS_EPOCH).days
    assert 0 <= number < 1 << 16
    return number


def business_day(number: int) -> date:
    """Give the date of a business-day number."""
    return BUSINESS_EPOCH + timedelta(days=number)
