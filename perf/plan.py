"""What one measured request asks of the backend, and the tokens that prove it was answered.

The plan travels as text inside the prompt, so it survives every proxy and every dialect that
carries a prompt. Each token of the answer names its run, request and place, and when it was
due; the last one carries the SHA-256 of all tokens before it. Backend and judge share only
this page.
"""

import re
from typing import NamedTuple

_PLAN = re.compile(rb"perf run=(\w+) request=(\d+) events=(\d+) rate=(\d+) size=(\d+)")
_TOKEN = re.compile(r" (\w+)/(\d+)/(\d+)/(\d+)")
_SEAL = re.compile(r" (\w+)/(\d+)/seal/([0-9a-f]{64})")


class Plan(NamedTuple):
    """One request: ``events`` tokens at ``rate`` per second, or one answer of ``size`` bytes."""

    run: str
    request: int
    events: int = 0
    rate: int = 0
    size: int = 0

    def prompt(self) -> str:
        """The plan as a prompt; ``find_plan`` reads it back out of a request's body."""
        return (
            f"perf run={self.run} request={self.request} events={self.events}"
            f" rate={self.rate} size={self.size}"
        )

    def token(self, seq: int, due_us: int) -> str:
        """The text of one event. ``due_us``: CLOCK_MONOTONIC, one clock for all processes."""
        return f" {self.run}/{self.request}/{seq}/{due_us}"

    def seal(self, digest: str) -> str:
        """The text of the last event; ``digest``: SHA-256 of all tokens, as hexadecimal."""
        return f" {self.run}/{self.request}/seal/{digest}"


class Token(NamedTuple):
    """A token as the judge found it."""

    run: str
    request: int
    seq: int
    due_us: int


class Seal(NamedTuple):
    """A seal as the judge found it."""

    run: str
    request: int
    digest: str


def find_plan(body: bytes) -> Plan | None:
    """The plan inside a request's body, wherever its dialect put the prompt."""
    found = _PLAN.search(body)
    if found is None:
        return None
    run, request, events, rate, size = found.groups()
    return Plan(run.decode(), int(request), int(events), int(rate), int(size))


def read_token(text: str) -> Token | Seal | None:
    """What one event's text says; None if it is neither a token nor a seal, whole."""
    if found := _TOKEN.fullmatch(text):
        return Token(found[1], int(found[2]), int(found[3]), int(found[4]))
    if found := _SEAL.fullmatch(text):
        return Seal(found[1], int(found[2]), found[3])
    return None
