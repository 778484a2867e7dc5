"""How numbers and times are written, for templates: (value, unit) pairs, "–" for unknown.

Rules: rates without decimals from 100 and with one below; seconds with two decimals below 10
and one below 100, then minutes, and milliseconds where two decimals would be 0; tokens with
separators up to 999,999, then millions; percent without decimals, with one below 1.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UNKNOWN = "–"

Quantity = tuple[str, str]


def tokens(count: float | None) -> Quantity:
    if count is None:
        return UNKNOWN, ""
    if count < 999_999.5:
        return f"{count:,.0f}", ""
    return f"{count / 1e6:.2f}", "M"


def big_tokens(count: float | None) -> Quantity:
    """For a headline: three digits and a word."""
    if count is None:
        return UNKNOWN, ""
    if count < 9_999.5:
        return f"{count:,.0f}", "tok"
    if count < 999_500:
        return f"{count / 1e3:.3g}", "thousand"
    return f"{count / 1e6:.3g}", "million"


def compact(value: float) -> str:
    """For an axis: 750, 1.5k, 20M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def rate(per_second: float | None) -> Quantity:
    if per_second is None:
        return UNKNOWN, ""
    if per_second == 0:
        return "0", ""
    return (f"{per_second:,.0f}" if per_second >= 99.95 else f"{per_second:.1f}"), ""


def seconds(duration: float | None) -> Quantity:
    if duration is None:
        return UNKNOWN, ""
    if 0 < duration < 0.01:
        return milliseconds(duration)
    if duration < 9.995:
        return f"{duration:.2f}", "s"
    if duration < 99.95:
        return f"{duration:.1f}", "s"
    return span(duration), ""


def elapsed(duration: float | None) -> Quantity:
    """Seconds that are still counting: one decimal is all the eye can follow."""
    if duration is None or duration >= 99.95:
        return seconds(duration)
    return f"{duration:.1f}", "s"


def milliseconds(duration: float | None) -> Quantity:
    if duration is None:
        return UNKNOWN, ""
    if duration >= 1:
        return seconds(duration)
    return f"{duration * 1e3:.0f}" if duration >= 0.001 else "<1", "ms"


def percent(part: float | None, whole: float | None = 1) -> Quantity:
    if part is None or not whole:
        return UNKNOWN, ""
    share = 100 * part / whole
    if share == 0 or share >= 0.995:
        # 99.7 % of requests must not read as all of them
        return f"{share:.1f}" if 99 < share < 100 else f"{share:.0f}", "%"
    return f"{share:.1f}", "%"


def context(size: int | None) -> Quantity:
    """Tokens per slot, in the binary thousands people know models by."""
    if size is None:
        return UNKNOWN, ""
    return (f"{size // 1024}k" if size >= 1024 and size % 1024 == 0 else f"{size:,}"), "ctx"


def span(duration: float) -> str:
    """A long duration in its two largest units: "2 m 05 s", "6 d 4 h"."""
    total = int(duration)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} m {total % 60:02} s"
    if total < 86400:
        return f"{total // 3600} h {total % 3600 // 60} m"
    return f"{total // 86400} d {total % 86400 // 3600} h"


def ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 <= number % 100 <= 20 else suffix}"


def clock(moment: float | None, zone: str) -> str:
    """Time of day where the reader is; ``zone`` as in ``Look``."""
    if moment is None:
        return UNKNOWN
    return datetime.fromtimestamp(moment, _zone(zone)).strftime("%H:%M:%S")


def day(moment: float, zone: str) -> str:
    """The date where the reader is: "23 Nov"."""
    return f"{datetime.fromtimestamp(moment, _zone(zone)):%-d %b}"


def midnight(moment: float, zone: str, days_ago: int = 0) -> float:
    """The beginning of the day that is ``days_ago`` before ``moment``, where the reader is."""
    local = datetime.fromtimestamp(moment, _zone(zone))
    begin = datetime.combine(local.date() - timedelta(days=days_ago), datetime.min.time())
    return begin.replace(tzinfo=_zone(zone)).timestamp()


def iso(moment: float) -> str:
    """For the ``datetime`` attribute."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def known_zone(name: str) -> str:
    """``name`` when the time zone database has it, else "", the server's own zone."""
    if not re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", name):
        return ""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""
    return name


def _zone(name: str) -> tzinfo | None:
    return ZoneInfo(name) if name else None
