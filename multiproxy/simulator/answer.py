"""The two ways to answer a generation: an event stream, or one body at the end.

What the events and bodies look like is the subject of a ``Form`` (chat.py, completions.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from . import wire
from .generation import QUIET_S, Generation, Stage
from .text import HIDDEN, Token

if TYPE_CHECKING:
    from .connection import Connection
    from .engine import Engine
    from .order import Order


class Form(Protocol):
    """The shape of one route's answers. Every method returns SSE payload or JSON."""

    ends_with_done: bool
    shows_end: bool  # the end-of-text token has an event of its own

    def beginning(self, generation: Generation) -> bytes:
        """Payload at a slot's start (may be empty)."""
        return b""

    def progress(self, generation: Generation) -> bytes:
        """Payload of a progress event (empty: none wanted)."""
        return b""

    def spoken(self, generation: Generation, token: Token) -> bytes:
        """A whole chunk, framing included: this runs once per token."""

    def final(self, generation: Generation) -> bytes:
        """Payload of the last event or events of one generation."""

    def whole(self, generations: list[Generation]) -> bytes:
        """The JSON body of a finished answer that is not streamed."""


class Answer:
    """Runs one request's generations and writes what they say.

    Call ``run`` once. ``client_left`` may be called at any time.
    """

    streams = False

    def __init__(self, connection: Connection, engine: Engine, form: Form) -> None:
        self.connection = connection
        self.engine = engine
        self.form = form
        self.generations: list[Generation] = []
        self.left = False  # the client is gone
        self._running = 0

    def run(self, orders: list[Order], linger_s: float = 0.0) -> None:
        """Submit ``orders``; the answer is complete when all have finished."""
        self._running = len(orders)
        self.generations = [Generation(order, self, self.engine) for order in orders]
        for generation in self.generations:
            generation.linger_s = linger_s
            self.engine.submit(generation)

    def abandon(self) -> None:
        """Cancel what runs; nothing more is written."""
        self.left = True
        for generation in self.generations:
            if generation.stage is not Stage.WAITING:
                generation.cancel()

    def freeze(self) -> None:
        """Hang: hold the slots for ever and say nothing more."""
        for generation in self.generations:
            generation.freeze()

    def client_left(self) -> None:
        """The client closed, reset or half-closed its connection."""
        raise NotImplementedError

    def started(self, generation: Generation) -> None:
        """See ``Sink``."""
        if self.left:  # it left while waiting; llama-server notices only now
            generation.cancel()

    def progressed(self, generation: Generation) -> None:
        """See ``Sink``."""

    def spoke(self, generation: Generation, token: Token) -> None:
        """See ``Sink``."""

    def quiet(self, generation: Generation) -> None:
        """See ``Sink``."""

    def finished(self, generation: Generation) -> None:
        """See ``Sink``."""
        self._running -= 1
        if not self.left and not self._running:
            self._complete()

    def _complete(self) -> None:
        raise NotImplementedError


class WholeAnswer(Answer):
    """One JSON body in one write.

    A client that leaves is noticed only when no stream of the server produced a result for
    a second, as the real server does: on a busy one it never is.
    """

    def _complete(self) -> None:
        self.connection.reply(200, self.form.whole(self.generations))

    def client_left(self) -> None:
        self.left = True
        now = self.engine.clock.now()
        since = max([self.engine.last_result, *(g.started_at for g in self.generations)])
        self.engine.clock.at(now + QUIET_S - (now - since) % QUIET_S, self._look)

    def _look(self, due: float) -> float | None:
        if all(generation.stage is Stage.ENDED for generation in self.generations):
            return None
        last = self.engine.last_result
        if due - last < QUIET_S - 1e-6:
            return last + QUIET_S
        self.abandon()
        self.connection.reply(200, b"")  # a half-closed client reads an empty 200
        return None


class StreamAnswer(Answer):
    """An event stream: the head when the first slot starts, then a write per token."""

    streams = True

    def __init__(self, connection: Connection, engine: Engine, form: Form) -> None:
        super().__init__(connection, engine, form)
        self._send = connection.send
        self._is_closing = connection.transport.is_closing
        self._has_head = False
        self._written_at = 0.0
        self.ping_interval = engine.settings.ping_interval

    def client_left(self) -> None:
        self.abandon()

    def started(self, generation: Generation) -> None:
        super().started(generation)
        if self.left:
            return
        if not self._has_head:
            self._has_head = True
            self.ping_interval = generation.order.body.get("sse_ping_interval", self.ping_interval)
            self.connection.begin_stream()
        beginning = self.form.beginning(generation)
        if beginning:
            self._send(wire.chunk(beginning))
        self._written_at = generation.started_at
        self.progressed(generation)

    def progressed(self, generation: Generation) -> None:
        payload = self.form.progress(generation)
        if payload and not self.left:
            self.engine.last_result = self._written_at = generation.due
            self._send(wire.chunk(payload))

    def spoke(self, generation: Generation, token: Token) -> None:  # per event
        if not self._is_closing():  # between a failed write and the news of it
            self._send(self.form.spoken(generation, token))

    def quiet(self, generation: Generation) -> None:
        now = self.engine.clock.now()
        if self.ping_interval >= 0 and now - self._written_at > self.ping_interval:
            self._written_at = now
            self._send(wire.PING)

    def part(self) -> None:
        """Send the ping after which a dying server ends a stream without a last chunk."""
        self._send(wire.PING)
        self.connection.close()

    def finished(self, generation: Generation) -> None:
        if not self.left:
            if self.form.shows_end and generation.stop_type == "eos":
                self._send(self.form.spoken(generation, HIDDEN))
            self._send(wire.chunk(self.form.final(generation)))
        super().finished(generation)

    def _complete(self) -> None:
        if self.form.ends_with_done:
            self._send(wire.DONE)
        self.connection.end_stream()
