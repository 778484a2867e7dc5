"""In which class one request ended, told from what was asked and the raw bytes that came.

Every request is in exactly one class. The six of ``Outcome`` are for clients that wait;
``LEFT`` is for those that were told to leave, and only as long as what they saw was right.
"""

import json
from dataclasses import dataclass
from typing import Any

from faults.asked import Asked
from faults.tellers import TELLERS, UNREADABLE, Teller

from framing import AnswerReader, Place, WireError
from judge import Outcome

LEFT = "left"
DONE = b"data: [DONE]"

# How a connection was, when its request's record was closed.
OPEN, CLOSED, RESET, TIMED_OUT, HAS_LEFT = "open", "closed", "reset", "timed out", "left"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A class and, unless all is well, why. ``seen`` tokens of the right answer came."""

    outcome: str
    why: str = ""
    seen: int = 0
    status: int = 0


class _Wrong(Exception):
    """The answer must not be."""


def judge(asked: Asked, raw: bytes, how: str) -> Verdict:
    """Judge one answer; ``how`` is what the connection was like at its end."""
    reader = AnswerReader()
    try:
        body = reader.feed(raw)
    except WireError as error:
        return Verdict(Outcome.WRONG.value, str(error), 0, reader.status)
    whole = reader.place is Place.DONE
    if asked.dialect == "garbage":
        return _judge_garbage(reader.status, whole=whole, how=how)
    teller = TELLERS[asked.dialect]()
    try:
        outcome, why = _classify(asked, teller, reader.status, body, whole=whole, how=how)
    except _Wrong as wrong:
        outcome, why = Outcome.WRONG.value, str(wrong)
    except UNREADABLE as error:
        outcome, why = Outcome.WRONG.value, f"not of this dialect: {error!r}"
    return Verdict(outcome, why, teller.text.count(" "), reader.status)


def _judge_garbage(status: int, *, whole: bool, how: str) -> Verdict:
    if status == 200:
        return Verdict(Outcome.WRONG.value, "garbage was answered", 0, status)
    if status:
        outcome = Outcome.ERROR_BEFORE if whole else Outcome.RESET
        return Verdict(outcome.value, "refused", 0, status)
    return Verdict((Outcome.HANG if how == TIMED_OUT else Outcome.RESET).value, how)


def _classify(
    asked: Asked, teller: Teller, status: int, body: bytes, *, whole: bool, how: str
) -> tuple[str, str]:
    """The class and why.

    Raises:
        _Wrong, or one of ``UNREADABLE``: the class is "wrong".
    """
    if status >= 400 and whole:
        teller.error_of(json.loads(body))
        return Outcome.ERROR_BEFORE.value, f"status {status}: {body[:300].decode()}"
    if status not in (0, 200) and status < 400:
        raise _Wrong(f"status {status}")
    if asked.stream and status == 200:
        _read_events(teller, body)
    elif whole:
        teller.whole(json.loads(body))
        teller.terminal = True
    if not asked.text.startswith(teller.text):
        raise _Wrong(f"text that was not sent, behind {_common(asked.text, teller.text)!r}")
    return _how_it_ended(asked, teller, whole=whole, how=how)


def _how_it_ended(asked: Asked, teller: Teller, *, whole: bool, how: str) -> tuple[str, str]:
    if teller.errors:
        if teller.errors > 1 or (teller.terminal and not teller.fails_with_done):
            raise _Wrong(f"{teller.errors} errors, terminal event: {teller.terminal}")
        outcome = Outcome.ERROR_AFTER if teller.text else Outcome.ERROR_BEFORE
        return outcome.value, "error event"
    if whole:
        said = (teller.text == asked.text, teller.finished, teller.terminal)
        if said != (True, True, True):
            raise _Wrong("whole text {}, finish reason {}, terminal event {}".format(*said))
        if asked.is_counted and teller.output_tokens != asked.output_tokens:
            raise _Wrong(f"usage says {teller.output_tokens} tokens")
        return Outcome.OK.value, ""
    if how == HAS_LEFT and asked.leaves:
        return LEFT, ""
    outcome = Outcome.HANG if how in (TIMED_OUT, OPEN) else Outcome.RESET
    return outcome.value, f"{how} behind {len(teller.text)} of {len(asked.text)} letters"


def _read_events(teller: Teller, body: bytes) -> None:
    *events, rest = body.split(b"\n\n")
    for event in events:
        if not event or event.startswith(b":"):
            continue
        if teller.terminal or (teller.errors and event != DONE):
            raise _Wrong(f"an event behind the last: {event[:80]!r}")
        if event == DONE:
            teller.terminal = True
            continue
        name, data = "", event
        if event.startswith(b"event: "):
            line, _, data = event.partition(b"\n")
            name = line[7:].decode()
        if not data.startswith(b"data: "):
            raise _Wrong(f"no event: {event[:80]!r}")
        teller.event(name, _object(data[6:]))
    if teller.terminal and rest:
        raise _Wrong(f"bytes behind the last event: {rest[:80]!r}")


def _object(data: bytes) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise _Wrong(f"no object: {data[:80]!r}")
    return value


def _common(right: str, told: str) -> str:
    length = next(
        (at for at, pair in enumerate(zip(right, told, strict=False)) if pair[0] != pair[1]), 0
    )
    return told[max(0, length - 20) : length] + "|" + told[length : length + 40]
