"""The geometry of the drawings: numbers in, SVG path data and rectangles out.

Coordinates are in the viewBox of the template's <svg>, rounded to a tenth; colours are classes
that the style sheet knows. No <svg> element is written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10, sqrt

MOST_POINTS = 180  # of a chart: more than that are no longer seen, and are bytes


@dataclass(frozen=True, slots=True)
class Rect:
    kind: str  # class
    x: float
    width: float


def short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def line(values: Sequence[float], width: float, height: float, top: float) -> str:
    """A polyline through evenly spaced values; ``top`` is the value at the upper edge."""
    step = width / max(1, len(values) - 1)
    points = (f"{short(i * step)} {short(height * (1 - v / top))}" for i, v in enumerate(values))
    return "M" + "L".join(points)


def area(
    upper: Sequence[float], lower: Sequence[float], width: float, height: float, top: float
) -> str:
    """The band between two lines."""
    step = width / max(1, len(lower) - 1)
    back = (
        f"L{short(i * step)} {short(height * (1 - lower[i] / top))}"
        for i in range(len(lower) - 1, -1, -1)
    )
    return line(upper, width, height, top) + "".join(back) + "Z"


def edge(
    upper: Sequence[float], own: Sequence[float], width: float, height: float, top: float
) -> str:
    """The upper line of a band, only where the band has a height: a dead series draws none."""
    step = width / max(1, len(upper) - 1)
    parts, pen = [], "M"
    for i, total in enumerate(upper):
        if any(own[max(0, i - 1) : i + 2]):
            parts.append(f"{pen}{short(i * step)} {short(height * (1 - total / top))}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def thinned(values: Sequence[float], most: int = MOST_POINTS) -> list[float]:
    """At most about ``most`` values: means of equally many neighbours, the newest ones whole."""
    step = -(-len(values) // most)
    first = len(values) % step
    groups = [values[i : i + step] for i in range(first, len(values), step)]
    return [sum(group) / step for group in groups]


def nice_top(peak: float, steps: int = 4) -> float:
    """The smallest round scale above ``peak`` that divides into ``steps`` round parts."""
    if peak <= 0:
        return float(steps)
    unit = 10.0 ** floor(log10(peak / steps))
    while True:
        for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5):
            if unit * factor * steps >= peak:
                return unit * factor * steps
        unit *= 10


def heat(columns: Sequence[Sequence[int]], width: float, height: float) -> list[tuple[int, str]]:
    """One path per level 1..5 by the square root of the count; row 0 is at the bottom."""
    gap = 1.4
    cell_w, cell_h = width / len(columns), height / len(columns[0])
    # A scale of at least 9 keeps single requests pale when there are few of them.
    peak = max(9, max(max(column) for column in columns))
    paths: dict[int, list[str]] = {}
    for x, column in enumerate(columns):
        for y, count in enumerate(column):
            if count:
                level = min(5, 1 + int(4.999 * sqrt(count / peak)))
                w, h = short(cell_w - gap), short(cell_h - gap)
                paths.setdefault(level, []).append(
                    f"M{short(x * cell_w)} {short(height - (y + 1) * cell_h)}h{w}v{h}h-{w}z"
                )
    return [(level, "".join(parts)) for level, parts in sorted(paths.items())]


def flow(counts: Sequence[int], top: float, width: float, height: float, places: int = 60) -> str:
    """The token rhythm: a bar per step, the newest at the right edge; a stall is a thin line."""
    step = width / places
    bar = short(step - 1)
    parts = []
    for i, count in enumerate(counts[-places:], start=places - len(counts[-places:])):
        tall = 1 if count == 0 else max(0.15, min(1, count / top)) * (height - 1)
        parts.append(f"M{short(i * step)} {short(height - tall)}h{bar}V{short(height)}h-{bar}z")
    return "".join(parts)


def segments(parts: Sequence[tuple[str, float]], scale: float, width: float) -> list[Rect]:
    """Stretches of time or tokens side by side; what is not zero stays visible."""
    rects, x = [], 0.0
    for kind, amount in parts:
        wide = amount / scale * width
        if amount > 0:
            rects.append(Rect(kind, round(x, 1), round(max(wide - 0.8, 1.2), 1)))
        x += wide
    return rects
