"""One prompt on one slot: prefill, tokens at the rate of the settings, an end."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from .text import Token

if TYPE_CHECKING:
    from .engine import Engine, Slot
    from .order import Order

QUIET_S = 1.0  # llama-server looks for gone clients and due pings after a second without results


class Stage(Enum):
    """Where a generation is; it only moves downwards."""

    WAITING = "waiting"
    PREFILL = "prefill"
    DECODE = "decode"
    ENDED = "ended"


class Sink(Protocol):
    """Who hears of a generation: the answer that it belongs to."""

    def started(self, generation: Generation) -> None:
        """The slot begins on the prompt."""

    def progressed(self, generation: Generation) -> None:
        """A batch of the prompt was read."""

    def spoke(self, generation: Generation, token: Token) -> None:
        """A token shows text (or is the first one)."""

    def finished(self, generation: Generation) -> None:
        """The end was reached; the slot is free again."""

    def quiet(self, generation: Generation) -> None:
        """A second passed without any result on the whole server."""


class Generation:
    """A state machine that the clock steps; ``sink`` hears what happens."""

    __slots__ = (
        "cached", "decoded", "due", "engine", "ended_at", "ending", "finish_reason", "first_at",
        "frozen", "interval", "limit", "linger_s", "order", "processed", "reports", "sink",
        "slot", "spoken", "stage", "started_at", "stop_type", "task", "tokens",
    )  # fmt: skip

    def __init__(self, order: Order, sink: Sink, engine: Engine) -> None:
        self.order = order
        self.sink = sink
        self.engine = engine
        self.tokens = order.plan.tokens
        self.ending = order.plan.ending
        self.limit = order.limit
        self.interval = engine.settings.token_interval
        self.stage = Stage.WAITING
        self.frozen = False
        self.reports = order.stream  # a whole answer makes one result, at its end
        self.linger_s = 0.0  # how long the slot stays taken after the end
        self.slot: Slot | None = None
        self.task = 0
        self.cached = self.processed = self.decoded = 0
        self.spoken: list[Token] = []
        self.started_at = self.first_at = self.ended_at = 0.0
        self.due = 0.0
        self.finish_reason = self.stop_type = ""

    @property
    def prompt_n(self) -> int:
        """Tokens of the prompt that were not in the slot's cache."""
        return self.order.prompt_tokens - self.cached

    @property
    def text(self) -> str:
        """What was generated, without an echoed prefix."""
        return "".join([token.text for token in self.spoken])

    def start(self, slot: Slot, cached: int, now: float) -> None:
        """Begin on the prompt; the engine calls this once."""
        self.slot, self.cached, self.processed = slot, cached, cached
        self.stage = Stage.PREFILL
        self.started_at = self.due = now
        self.sink.started(self)
        if self.stage is Stage.PREFILL:  # the sink may have ended it
            clock = self.engine.clock
            clock.at(now + self.engine.settings.prefill_time(self._batch()), self._read)
            clock.at(now + QUIET_S, self._look)

    def _batch(self) -> int:
        return min(self.engine.settings.batch_size, self.order.prompt_tokens - self.processed)

    def _read(self, due: float) -> float | None:
        """One batch of the prompt is done."""
        if self.stage is not Stage.PREFILL or self.frozen:
            return None
        self.processed += self._batch()
        self.due = due
        self.sink.progressed(self)
        left = self._batch()
        if left:
            return due + self.engine.settings.prefill_time(left)
        self.stage = Stage.DECODE
        self.first_at = due
        self.engine.clock.at(due, self._speak)
        return None

    def _speak(self, due: float) -> float | None:  # per event
        if self.stage is not Stage.DECODE or self.frozen:
            return None
        self.due = due
        try:
            token = next(self.tokens)
        except StopIteration:
            self.decoded += 1  # the end-of-text token
            self._end(self.ending.finish_reason, self.ending.stop_type, due)
            return None
        self.decoded += 1
        if self.reports:
            self.engine.last_result = due
        if token is not None:
            self.spoken.append(token)
            self.sink.spoke(self, token)
        if self.ending.stopping_word:
            self._end("stop", "word", due)
            return None
        if self.decoded >= self.limit:
            self._end("length", "limit", due)
            return None
        return due + self.interval

    def _look(self, due: float) -> float | None:
        """Once a second while nothing is generated; any result on the server puts it off."""
        waiting = self.stage is Stage.PREFILL or (self.frozen and self.stage is Stage.DECODE)
        if not waiting:
            return None
        if due - self.engine.last_result >= QUIET_S:
            self.sink.quiet(self)
        return due + QUIET_S

    def freeze(self) -> None:
        """Stop for ever without an end, as a hung server does; the slot stays taken."""
        self.frozen = True
        if self.stage is Stage.DECODE:
            self.engine.clock.at(self.due + QUIET_S, self._look)

    def cancel(self) -> None:
        """End without telling the sink; idempotent."""
        if self.stage is not Stage.ENDED:
            self.stage = Stage.ENDED
            self.ended_at = self.engine.clock.now()
            self.engine.release(self, aborted=True)

    def _end(self, finish_reason: str, stop_type: str, due: float) -> None:
        self.finish_reason, self.stop_type = finish_reason, stop_type
        self.stage = Stage.ENDED
        self.ended_at = due
        self.sink.finished(self)
        self.engine.release(self, aborted=False)

    def timings(self) -> dict[str, int | float]:
        """Return llama-server's ``timings`` as of the latest token (times are ms)."""
        prompt_ms = max(0.001, round((self.first_at - self.started_at) * 1e3, 3))
        between = self.decoded - 1
        predicted_ms = max(0.001, round((self.due - self.first_at) * 1e3, 3))
        return {
            "cache_n": self.cached,
            "prompt_n": self.prompt_n,
            "prompt_ms": prompt_ms,
            "prompt_per_token_ms": prompt_ms / self.prompt_n,
            "prompt_per_second": 1e3 / prompt_ms * self.prompt_n,
            "predicted_n": self.decoded,
            "predicted_ms": predicted_ms,
            "predicted_per_token_ms": predicted_ms / between if between > 0 else 0.0,
            "predicted_per_second": 1e3 / predicted_ms * between if between > 0 else 0.0,
        }

    def usage(self) -> dict[str, object]:
        """Return OpenAI's ``usage``."""
        return {
            "completion_tokens": self.decoded,
            "prompt_tokens": self.order.prompt_tokens,
            "total_tokens": self.decoded + self.order.prompt_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }
