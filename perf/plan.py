"""What one measured request asks of the backend, and the tokens that prove it was answered.

The plan travels as text inside the prompt, so it survives every proxy and every dialect that
carries a prompt. Each token of the answer names its run, request and place, and when it was
due; the last one carries the SHA-256 of all tokens before it, and of how much of a big
request's ballast has come. Backend and judge share only this page.
"""

import hashlib
import re
from typing import NamedTuple

_PLAN = re.compile(
    rb"perf run=(\w+) request=(\d+) events=(\d+) period=(\d+) size=(\d+) ballast=(\d+)"
)
_TOKEN = re.compile(r" (\w+)/(\d+)/(\d+)/(\d+)")
_SEAL = re.compile(r" (\w+)/(\d+)/seal/([0-9a-f]{64})")
_BLOCK = 64 + 1  # bytes of one block of ballast


class Plan(NamedTuple):
    """One request: ``events`` tokens, one per ``period_us``, or one answer of ``size`` bytes.

    ``ballast``: blocks of text that come before the prompt, each 65 bytes.
    """

    run: str
    request: int
    events: int = 0
    period_us: int = 0
    size: int = 0
    ballast: int = 0

    def prompt(self) -> str:
        """The plan as a prompt; ``find_plan`` reads it back out of a request's body."""
        return (
            f"perf run={self.run} request={self.request} events={self.events}"
            f" period={self.period_us} size={self.size} ballast={self.ballast}"
        )

    def block(self) -> str:
        """A piece of ballast, which no other request has."""
        return hashlib.sha256(f"{self.run}/{self.request}".encode()).hexdigest() + " "

    def token(self, seq: int, due_us: int) -> str:
        """The text of one event. ``due_us``: CLOCK_MONOTONIC, one clock for all processes."""
        return f" {self.run}/{self.request}/{seq}/{due_us}"

    def seal(self, digest: str) -> str:
        """The text of the last event; ``digest``: a ``Digest`` of all tokens."""
        return f" {self.run}/{self.request}/seal/{digest}"


class Digest:
    """The SHA-256 of a request's ballast and of all tokens of its answer, as hexadecimal."""

    def __init__(self, ballast: int) -> None:
        self._sum = hashlib.sha256(b"%d" % ballast if ballast else b"")

    def add(self, token: str) -> None:
        """The next token."""
        self._sum.update(token.encode())

    def told(self) -> str:
        """The digest of all so far."""
        return self._sum.hexdigest()


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


def blocks_in(size: int) -> int:
    """How many blocks of ballast make ``size`` bytes."""
    return size // _BLOCK


def find_plan(body: bytes) -> Plan | None:
    """The plan inside a request's body, wherever its dialect put the prompt.

    Its ``ballast`` is what came of it, not what was sent.
    """
    found = _PLAN.search(body)
    if found is None:
        return None
    run, *numbers = found.groups()
    plan = Plan(run.decode(), *(int(number) for number in numbers))
    return plan._replace(ballast=body.count(plan.block().encode())) if plan.ballast else plan


def read_token(text: str) -> Token | Seal | None:
    """What one event's text says; None if it is neither a token nor a seal, whole."""
    if found := _TOKEN.fullmatch(text):
        return Token(found[1], int(found[2]), int(found[3]), int(found[4]))
    if found := _SEAL.fullmatch(text):
        return Seal(found[1], int(found[2]), found[3])
    return None
