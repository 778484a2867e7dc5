"""``multiproxy top``: the status and the running requests, drawn again every second.

Plain ANSI: the alternate screen, one write per frame, cut to the terminal's size. Keys are read
without waiting for a line.
"""

import argparse
import json
import os
import select
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from multiproxy.cli import exit_codes
from multiproxy.cli.instance import Instance, talk
from multiproxy.cli.status import head, lines, speed, summary
from multiproxy.supervisor.dashboard import formats
from multiproxy.supervisor.log import printable

Json = Mapping[str, Any]

SPARK_S = 60
_BARS = "▁▂▃▄▅▆▇█"
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"


def top(options: argparse.Namespace) -> int:
    """Draw until q, Ctrl+C, or the end of MultiProxy."""
    return talk(options, lambda instance: _top(instance, options))


def _top(instance: Instance, options: argparse.Namespace) -> int:
    is_screen = sys.stdout.isatty() and sys.stdin.isatty() and os.environ.get("TERM") != "dumb"
    if options.json or not is_screen:
        return _print_for_ever(instance, options)
    with _screen():
        paused = False
        while True:
            if not paused:
                size = shutil.get_terminal_size((80, 24))
                shown = frame(instance.get("overview"), instance.url, size.columns, size.lines)
                text = "".join(f"{line}{_CLEAR_LINE}\r\n" for line in shown[:-1]) + shown[-1]
                sys.stdout.write(_HOME + text + _CLEAR_LINE + _CLEAR_REST)
                sys.stdout.flush()
            match _key(options.interval):
                case "q" | "\x03" | "\x04":
                    return exit_codes.OK
                case "p" | " ":
                    paused = not paused


def _print_for_ever(instance: Instance, options: argparse.Namespace) -> int:
    while True:
        overview = instance.get("overview")
        shown = json.dumps(overview) if options.json else "\n".join(lines(overview, instance.url))
        print(shown, end="\n" if options.json else "\n\n", flush=True)
        time.sleep(options.interval)


@contextmanager
def _screen() -> Iterator[None]:
    """The terminal without echo and line editing, put back whatever happens."""
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        sys.stdout.write(_ENTER)
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _key(patience_s: float) -> str:
    ready, _, _ = select.select([sys.stdin], [], [], patience_s)
    return os.read(sys.stdin.fileno(), 1).decode("latin-1") if ready else ""


def frame(overview: Json, url: str, width: int, height: int) -> list[str]:
    """What fits: at most ``height`` lines of at most ``width`` characters."""
    output = _summed(overview["pulse"]["output"].values())[-SPARK_S:]
    found = [
        head(overview, url),
        f"  {spark(output)}  output tok/s, last minute",
        *(f"  {line}" for line in summary(overview)),
        "",
        *_backends(overview, width),
        "",
        f"  {'phase':<13}{'model':<26}{'backend':<14}{'prompt':>8}{'output':>8}{'tok/s':>7}"
        f"{'time':>8}  key",
        *(_request(each) for each in overview["running"]),
    ]
    if len(found) > height:
        more = len(found) - height + 1
        found = [*found[: height - 1], f"  and {more} more lines"]
    return [line[:width] for line in found]


def _backends(overview: Json, width: int) -> Iterator[str]:
    names = [len(printable(backend["id"])) for backend in overview["backends"]]
    name_width = min(max(names, default=7), 24)
    for backend in overview["backends"]:
        total, busy = backend["slots_total"] or 0, backend["slots_busy"]
        bar = _bar(busy, total) if total else ""
        rate = "".join(formats.rate(speed(overview, backend["id"])))
        said = printable(backend["reason"] if backend["state"] == "down" else "")
        name = printable(backend["id"])[:24]
        yield (
            f"  {name:<{name_width}}  {backend['state']:<9} {bar:<18} "
            f"{busy}/{total or '–'}  {rate:>6} tok/s  {said}"
        )[:width].rstrip()


def _request(x: Json) -> str:
    phase = x["phase"]
    if phase == "prefill" and x["prefill_progress"] is not None:
        phase = f"prefill {100 * x['prefill_progress']:.0f} %"
    rate = "".join(formats.rate(x["tokens_per_s"]))
    elapsed = "".join(formats.elapsed(x["elapsed_s"]))
    prompt = "–" if x["prompt_tokens"] is None else f"{x['prompt_tokens']:,}"
    model, backend = printable(x["model"] or "–")[:25], printable(x["backend"] or "–")[:13]
    return (
        f"  {phase:<13}{model:<26}{backend:<14}{prompt:>8}{x['output_tokens']:>8,}{rate:>7}"
        f"{elapsed:>8}  {printable(x['key'] or '–')}"
    )


def _bar(busy: int, total: int, room: int = 16) -> str:
    cells = min(total, room)
    full = min(cells, -(-busy * cells // total))
    return "[" + "#" * full + "." * (cells - full) + "]"


def spark(values: list[float]) -> str:
    """One character per value, the highest of them full."""
    peak = max(values, default=0.0) or 1.0
    return "".join(_BARS[min(7, int(8 * value / peak))] for value in values)


def _summed(series: Any) -> list[float]:
    return [sum(values) for values in zip(*series, strict=True)]
