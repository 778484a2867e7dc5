"""``multiproxy tail``: requests that have ended, one line each, as they come."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from multiproxy.cli import exit_codes
from multiproxy.cli.instance import Instance, talk
from multiproxy.supervisor.dashboard import formats
from multiproxy.supervisor.log import printable

Json = Mapping[str, Any]

POLL_S = 0.5
LATE_S = 10.0  # how much later than its end a request may be seen
KEPT_IDS = 50_000  # of lines already printed


def tail(options: argparse.Namespace) -> int:
    """Print the newest requests."""
    return talk(options, lambda instance: _tail(instance, options))


def _tail(instance: Instance, options: argparse.Namespace) -> int:
    query = {name: getattr(options, name) or "" for name in ("status", "model", "backend", "key")}
    seen: dict[str, None] = {}
    began = time.time() - LATE_S
    found = list(_newest(instance, query, seen, options.lines, began))
    _print(found[: options.lines], options.json)
    _remember(found, seen)
    if not found and not options.follow and not options.json:
        print("no requests yet", file=sys.stderr)
    while options.follow:
        time.sleep(POLL_S)
        fresh = list(_newest(instance, query, seen, 0, began))
        _print(fresh, options.json)
        _remember(fresh, seen)
        began = max(began, time.time() - LATE_S)
    return exit_codes.OK


def _newest(
    instance: Instance, query: Mapping[str, str], seen: Mapping[str, None], least: int, since: float
) -> Iterator[Json]:
    """Requests that are not in ``seen``, newest first: ``least`` of them, and all ``since``."""
    before, count = "", 0
    while True:
        page = instance.get("requests", {**query, "before": before})
        for x in page["finished"]:
            if count >= least and x["ended_at"] < since:
                return
            count += 1
            if x["id"] not in seen:
                yield x
        before = page["older"]
        if not before:
            return


def _remember(found: Sequence[Json], seen: dict[str, None]) -> None:
    seen.update((x["id"], None) for x in reversed(found))
    while len(seen) > KEPT_IDS:
        del seen[next(iter(seen))]


def _print(found: Sequence[Json], is_json: bool) -> None:
    """The oldest first."""
    for x in reversed(found):
        print(json.dumps(x) if is_json else line(x))
    sys.stdout.flush()


def line(x: Json) -> str:
    """One request, aligned: time, status, model, backend, tokens, times, who."""
    clock = formats.clock(x["ended_at"], "")
    model = x["model"] or x["requested_model"] or "–"
    where = f"{model} → {x['backend']}" if x["backend"] else model
    tokens = f"{_count(x['prompt_tokens'])}+{_count(x['output_tokens'])} tok"
    cached = "".join(formats.percent(x["cached_tokens"], x["prompt_tokens"]))
    parts = [
        f"{clock} {x['status']} {printable(where):<40} {tokens:>14}",
        f"{cached:>4} cached",
        f"ttft {''.join(formats.seconds(x['ttft_s'])):>6}",
        f"{''.join(formats.rate(x['tokens_per_s'])):>5} tok/s",
        f"{''.join(formats.seconds(x['total_s'])):>7}",
    ]
    if x["attempts"] > 1:
        parts.append(f"{x['attempts']} attempts")
    if x["error"]:
        parts.append(f"{x['termination']} {printable(x['error'])}")
    parts += [printable(x["key"] or "–"), x["id"]]
    return "  ".join(parts)


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
