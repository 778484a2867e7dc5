"""Which answers were right: every event once, in order, none of another stream's.

Pure: fed with decoded bytes and the time, it never sees a socket. Every request ends in
exactly one outcome, and the outcomes of a run add up to the requests sent.
"""

from abc import ABC, abstractmethod
from enum import Enum
from typing import Any

import orjson

from plan import Digest, Plan, Seal, Token, read_token


class Outcome(Enum):
    """How one request ended, as its client saw it."""

    OK = "ok"
    ERROR_BEFORE = "error-before"  # refused with a status before any event
    ERROR_AFTER = "error-after"  # cut after events, and announced by an error event
    RESET = "reset"  # the connection ended inside the answer
    HANG = "hang"  # no end within the limit
    WRONG = "wrong"  # complete by its framing, and not what the backend sent


class Judge(ABC):
    """Checks one answer against its plan. ``why`` explains an outcome that is not OK."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen = 0  # tokens, in order
        self.why = ""

    @abstractmethod
    def feed(self, body: bytes, now_us: int) -> list[int]:
        """Take decoded body bytes that arrived at ``now_us``.

        Returns the latencies (microseconds from due to received) of the tokens that were
        complete in this piece.
        """

    @abstractmethod
    def finish(self, whole: bool) -> Outcome:
        """The outcome, now that the answer ended; ``whole``: with its proper framing."""

    def _fail(self, why: str) -> None:
        self.why = self.why or why  # the first failure explains the rest


class TextJudge(Judge):
    """Checks an answer's text, token by token."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._digest = Digest(plan.ballast)
        self._sealed = False

    def _take_text(self, text: str, now_us: int, latencies: list[int]) -> None:
        token = read_token(text)
        if token is None:
            self._fail(f"text {text[:60]!r} instead of event {self.seen}")
        elif (token.run, token.request) != (self.plan.run, self.plan.request):
            self._fail(f"event of another stream: {text[:60]!r}")
        elif self._sealed:
            self._fail(f"text behind the seal: {text[:60]!r}")
        elif isinstance(token, Seal):
            self._sealed = token.digest == self._digest.told()
            if not self._sealed:
                self._fail("the tokens or the request do not match their SHA-256")
        elif token.seq != self.seen:
            self._fail(f"event {token.seq} instead of {self.seen}")
        else:
            self._count(token, text, now_us, latencies)

    def _count(self, token: Token, text: str, now_us: int, latencies: list[int]) -> None:
        self.seen += 1
        self._digest.add(text)
        latencies.append(now_us - token.due_us)


class StreamJudge(TextJudge):
    """Checks one streamed answer; a subclass reads its dialect's events."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._rest = b""
        self._finished = False  # the event that says so was seen
        self._announced = False  # an error event was seen
        self._done = False  # the stream's last event was seen

    def feed(self, body: bytes, now_us: int) -> list[int]:
        *events, self._rest = (self._rest + body).split(b"\n\n")
        latencies: list[int] = []
        for event in events:
            if not event or event.startswith(b":"):
                continue  # a comment keeps a connection warm and says nothing
            if self._done:
                self._fail(f"an event after the last: {event[:60]!r}")
            elif event == b"data: [DONE]":
                self._done = True
            else:
                self._take(event, now_us, latencies)
        return latencies

    def finish(self, whole: bool) -> Outcome:
        if self.why:
            return Outcome.WRONG
        if self._announced and not self._finished:
            self.why = "error event"
            return Outcome.ERROR_AFTER if self.seen else Outcome.ERROR_BEFORE
        if not whole:
            self.why = f"ended after {self.seen} of {self.plan.events} events"
            return Outcome.RESET
        if self._rest.strip(b"\n") or self.seen != self.plan.events or not self._sealed:
            self._fail(f"a whole answer with {self.seen} of {self.plan.events} events")
        elif not self._finished or not self._done:
            self._fail(f"finished {self._finished}, last event {self._done}")
        return Outcome.WRONG if self.why else Outcome.OK

    @abstractmethod
    def _read(self, name: str, event: dict[str, Any]) -> str | None:
        """The text that an event adds; notes ends and errors. Any exception: not an event."""

    def _take(self, event: bytes, now_us: int, latencies: list[int]) -> None:
        name, data = "", event
        if event.startswith(b"event: "):
            line, _, data = event.partition(b"\n")
            name = line[7:].decode("latin-1")
        if not data.startswith(b"data: "):
            self._fail(f"a line that is not data: {event[:60]!r}")
            return
        try:
            text = self._read(name, orjson.loads(data[6:]))
        except (ValueError, LookupError, TypeError, AttributeError):
            self._fail(f"not an event of this dialect: {event[:80]!r}")
            return
        if text:
            self._take_text(text, now_us, latencies)


class ChatJudge(StreamJudge):
    """A stream of Chat chunks."""

    def _read(self, name: str, event: dict[str, Any]) -> str | None:
        if name:
            raise ValueError("a Chat chunk has no name")
        if "error" in event:
            self._announced = True
            return None
        [choice] = event["choices"]
        if choice.get("finish_reason") == "stop":
            self._finished = True
        text: str | None = choice["delta"].get("content")
        return text


def percentile(values: list[int], share: float) -> int:
    """The smallest value that ``share`` (0 to 1) of ``values`` do not exceed; 0 of none."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
