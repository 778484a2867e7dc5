"""The Usage page: who used how much, per hour or day."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from multiproxy.supervisor.dashboard import figures, formats
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import USAGE_GROUPS, UsageView

Data = dict[str, object]

FIELDS = ("range", "by", "measure")
HOUR_S = 3600
WIDTH, HEIGHT, GAP = 1000, 200, 0.22  # of the chart's viewBox; the gap is a part of a bar
COLOURS = 4  # groups with a colour of their own; the others are one
MOST_ROWS = 100  # of the table; the export has all
NAMELESS = {"model": "no known model", "backend": "no backend", "key": "without a key"}


@dataclass(frozen=True, slots=True)
class Range:
    label: str
    words: str
    days: int  # 0: the last 24 hours, by the hour


RANGES = {
    "24h": Range("24 h", "last 24 hours", 0),
    "7d": Range("7 d", "last 7 days", 7),
    "30d": Range("30 d", "last 30 days", 30),
}


@dataclass(frozen=True, slots=True)
class Measure:
    label: str
    words: str
    of: Callable[[UsageView], float]


MEASURES = {
    "spent": Measure("Compute", "tokens processed and generated", lambda u: u.spent_tokens),
    "tokens": Measure("Tokens", "all tokens", lambda u: u.prompt_tokens + u.output_tokens),
    "requests": Measure("Requests", "requests", lambda u: u.requests),
    "time": Measure("Time", "seconds of prefill and decode", lambda u: u.compute_s),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the URL asks for; anything unknown is the first of its kind."""

    range: str
    by: str
    measure: str

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Choice":
        def one(name: str, known: Iterable[str]) -> str:
            names = list(known)
            return query[name] if query.get(name) in names else names[0]

        return cls(one("range", RANGES), one("by", USAGE_GROUPS), one("measure", MEASURES))

    def with_(self, **changes: str) -> str:
        """The query of the page with another choice."""
        values = asdict(self) | changes
        return "?" + "&".join(f"{name}={value}" for name, value in values.items())

    def begin(self, now: float, zone: str) -> float:
        """Unix time."""
        days = RANGES[self.range].days
        if days:
            return formats.midnight(now, zone, days - 1)
        return now // HOUR_S * HOUR_S - 23 * HOUR_S


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    label: str
    colour: int  # 1-based; 0 is the colour of all the others
    total: UsageView
    share: float  # of the measure, 0..1


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: float
    parts: list[tuple[int, str, str, str, str]]  # colour, x, y, width, height


def switches(snapshot: Snapshot, look: Look) -> Data:
    """Links that never change under the reader."""
    choice = Choice.of(dict(look.query))
    return {
        "choice": choice,
        "ranges": RANGES,
        "measures": MEASURES,
        "groups": {name: name.capitalize() for name in USAGE_GROUPS},
    }


def totals(snapshot: Snapshot, look: Look) -> Data:
    choice = Choice.of(dict(look.query))
    everybody = [group.total for group in _groups(snapshot, look)]
    return {"total": added_up("", everybody), "range": RANGES[choice.range]}


def chart(snapshot: Snapshot, look: Look) -> Data:
    choice, rows = asked(snapshot, look)
    measure = MEASURES[choice.measure]
    shown = _groups(snapshot, look)
    colours = {group.name: group.colour for group in shown}
    slots = _slots(choice, snapshot.now, look.zone)
    sums: list[dict[int, float]] = [{} for _ in slots]
    starts = [start for start, _ in slots]
    for row in rows:
        place = max(0, bisect_right(starts, row.start) - 1)
        colour = colours[row.name]
        sums[place][colour] = sums[place].get(colour, 0.0) + measure.of(row)
    top = figures.nice_top(max(sum(parts.values()) for parts in sums))
    every = max(1, len(slots) // 7)
    named = sorted((g for g in shown if g.colour), key=lambda group: group.colour)
    return {
        "bars": [_bar(i, slots, parts, top) for i, parts in enumerate(sums)],
        "groups": named,
        "others": len(shown) - len(named),
        "ticks": [top * i / 4 for i in (4, 3, 2, 1, 0)],
        # Every bar has a place under it, so that a mark stands below its own.
        "marks": ["" if i % every else label for i, (_, label) in enumerate(slots)],
        "measure": measure,
        "range": RANGES[choice.range],
        "is_empty": not rows,
    }


def table(snapshot: Snapshot, look: Look) -> Data:
    choice = Choice.of(dict(look.query))
    shown = _groups(snapshot, look)
    return {
        "choice": choice,
        "groups": shown[:MOST_ROWS],
        "more": max(0, len(shown) - MOST_ROWS),
        "measure": MEASURES[choice.measure],
        "range": RANGES[choice.range],
    }


def groups(
    rows: Sequence[UsageView], choice: Choice, colours: Mapping[str, int] | None = None
) -> list[Group]:
    """The largest first. Without ``colours`` of their own the largest are told apart."""
    measure = MEASURES[choice.measure]
    by_name: dict[str, list[UsageView]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    sums = [added_up(name, found) for name, found in by_name.items()]
    sums.sort(key=lambda total: (-measure.of(total), total.name))
    whole = sum(map(measure.of, sums)) or 1
    return [
        Group(
            total.name,
            total.name or NAMELESS[choice.by],
            (place if place <= COLOURS else 0) if colours is None else colours.get(total.name, 0),
            total,
            measure.of(total) / whole,
        )
        for place, total in enumerate(sums, start=1)
    ]


def _groups(snapshot: Snapshot, look: Look) -> list[Group]:
    """Made once for the three fragments that show them."""

    def make() -> list[Group]:
        choice, rows = asked(snapshot, look)
        return groups(rows, choice, _colours(snapshot, choice))

    return snapshot.once(("usage", look), make)


def _colours(snapshot: Snapshot, choice: Choice) -> dict[str, int] | None:
    """Backends have the colours that they have everywhere: those of their places."""
    if choice.by != "backend":
        return None
    return {b.id: place for place, b in enumerate(snapshot.backends[:COLOURS], start=1)}


def added_up(name: str, rows: Sequence[UsageView]) -> UsageView:
    return UsageView(
        0,
        name,
        sum(row.requests for row in rows),
        sum(row.failures for row in rows),
        sum(row.prompt_tokens for row in rows),
        sum(row.cached_tokens for row in rows),
        sum(row.output_tokens for row in rows),
        sum(row.compute_s for row in rows),
    )


def asked(snapshot: Snapshot, look: Look) -> tuple[Choice, list[UsageView]]:
    """What the URL asks for, and the hours it is about."""
    choice = Choice.of(dict(look.query))
    return choice, snapshot.usage(choice.by, choice.begin(snapshot.now, look.zone))


def _slots(choice: Choice, now: float, zone: str) -> list[tuple[float, str]]:
    """The beginning and the name of each bar, oldest first."""
    days = RANGES[choice.range].days
    if days:
        starts = [formats.midnight(now, zone, ago) for ago in range(days - 1, -1, -1)]
        return [(start, formats.day(start, zone)) for start in starts]
    begin = choice.begin(now, zone)
    hours = [begin + i * HOUR_S for i in range(24)]
    return [(start, formats.clock(start, zone)[:5]) for start in hours]


def _bar(
    place: int, slots: Sequence[tuple[float, str]], parts: Mapping[int, float], top: float
) -> Bar:
    step = WIDTH / len(slots)
    x, width = figures.short(place * step + step * GAP / 2), figures.short(step * (1 - GAP))
    drawn, below = [], 0.0
    for colour in sorted(parts, key=lambda colour: colour or COLOURS + 1):
        height = parts[colour] / top * HEIGHT
        below += height
        if parts[colour]:
            y = figures.short(HEIGHT - below)
            drawn.append((colour, x, y, width, figures.short(max(height, 0.5))))
    return Bar(slots[place][1], sum(parts.values()), drawn)
