"""A paced llama-server look-alike that costs next to nothing, so that it is not what is measured.

Run as a process of its own: ``python perf/backend.py --port 18100``. It answers chat (streamed
by the plan in the prompt, at the plan's rate whether or not the reader keeps up, or whole when
the last token was due), small embeddings, and the questions a proxy's probes ask. It reads no
other request body, and only bodies with a Content-Length.
"""

import argparse
import asyncio
import contextlib
import math
import re
import time
from collections.abc import Callable
from typing import cast

import uvloop

import answers
from plan import Plan, find_plan

_STREAM = re.compile(rb'"stream":\s*true')
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_USES = 100  # requests per connection, as promised in Keep-Alive
_TICK_S = 0.001
_LONGEST_PHASE_US = 100_000

_READS: dict[bytes, bytes] = {
    b"/health": answers.HEALTH,
    b"/v1/health": answers.HEALTH,
    b"/props": answers.PROPS,
    b"/v1/models": answers.MODELS,
    b"/models": answers.MODELS,
}


class Pacer:
    """One timer for all streams: calls each step at its tick (milliseconds, CLOCK_MONOTONIC)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._steps: dict[int, list[Callable[[], None]]] = {}
        self._tick = 0  # the last one that was served
        self._running = False

    def now(self) -> int:
        """The current tick."""
        return time.monotonic_ns() // 1_000_000

    def at(self, tick: int, step: Callable[[], None]) -> None:
        """Call ``step`` at ``tick``, or at the next one if that has passed."""
        if not self._running:
            self._running = True
            self._tick = self.now()
            self._loop.call_later(_TICK_S, self._serve)
        self._steps.setdefault(max(tick, self._tick + 1), []).append(step)

    def _serve(self) -> None:
        now = self.now()
        while self._tick < now:
            self._tick += 1
            for step in self._steps.pop(self._tick, ()):
                step()
        self._running = bool(self._steps)
        if self._running:
            self._loop.call_later(_TICK_S, self._serve)


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered one after the other."""

    _opened = 0

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._buffer = b""
        self._uses = 0
        self._answering = False
        self._transport: asyncio.Transport | None = None
        Connection._opened += 1
        self._phase = Connection._opened  # spreads the streams over one period

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._answering:
            self._next()

    def _next(self) -> None:
        """Answer the next whole request in the buffer."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._transport is None:
            return
        head = self._buffer[:end]
        length = int(found[1]) if (found := _LENGTH.search(head)) else 0
        if len(self._buffer) < end + 4 + length:
            return
        body = self._buffer[end + 4 : end + 4 + length]
        self._buffer = self._buffer[end + 4 + length :]
        self._uses += 1
        line = head.split(b" ", 2)
        if len(line) < 3:  # sglang-router asks whether HTTP/2 is spoken here
            self._transport.close()
            return
        self._answering = True
        self._answer(line[1].partition(b"?")[0], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        plan = find_plan(body)
        closes = self._uses == _USES
        if path in _READS:
            self._finish(answers.json_answer(_READS[path], closes))
        elif plan is None:
            self._finish(answers.json_answer(answers.NOT_FOUND, closes, b"404 Not Found"))
        elif plan.events and _STREAM.search(body):
            _Stream(plan, self._pacer, self._phase, closes, self)
        elif plan.events:
            answer = answers.json_answer(answers.chat_body(plan, _now_us()), closes)
            wait_ms = (plan.events - 1) * plan.period_us // 1000
            self._pacer.at(self._pacer.now() + wait_ms, lambda: self._finish(answer))
        else:
            self._finish(answers.json_answer(answers.small_body(plan), closes))

    def write(self, data: bytes) -> bool:
        """Send a part of the answer; False when the reader is gone."""
        if self._transport is None:
            return False
        self._transport.write(data)
        return True

    def _finish(self, data: bytes) -> None:
        if self.write(data):
            self.end_answer()

    def end_answer(self) -> None:
        """The answer is complete: take the next request, or close after the last one."""
        self._answering = False
        if self._uses == _USES and self._transport is not None:
            self._transport.close()
        else:
            self._next()


class _Stream:
    """One streamed answer: a token per period, then the four pieces of its end.

    The first token is due at once, so that the time to it is the proxy's; the others keep a
    phase of their own within the period, so that the streams do not move in step.
    """

    def __init__(
        self, plan: Plan, pacer: Pacer, phase: int, closes: bool, connection: Connection
    ) -> None:
        self._plan = plan
        self._pacer = pacer
        self._connection = connection
        self._text = answers.StreamText(plan, int(time.time()))
        self._start_us = self._due_us = _now_us()
        self._phase_us = phase * 1000 % min(plan.period_us, _LONGEST_PHASE_US)
        self._seq = 0
        self._end: list[bytes] = []
        connection.write(answers.stream_head(closes))
        self._step()

    def _step(self) -> None:
        if not self._connection.write(self._text.token(self._seq, self._due_us)):
            return
        self._seq += 1
        if self._seq < self._plan.events:
            self._due_us = self._start_us + self._phase_us + self._seq * self._plan.period_us
            self._pacer.at(math.ceil(self._due_us / 1000), self._step)
            return
        seconds = self._plan.events * self._plan.period_us / 1e6
        self._end = [
            self._text.seal(),
            self._text.finish(seconds),
            answers.DONE_CHUNK,
            answers.LAST_CHUNK,
        ]
        self._pacer.at(0, self._step_of_end)

    def _step_of_end(self) -> None:
        if not self._connection.write(self._end.pop(0)):
            return
        if self._end:
            self._pacer.at(0, self._step_of_end)  # a write of its own, as llama-server does
        else:
            self._connection.end_answer()


def _now_us() -> int:
    return time.monotonic_ns() // 1000


async def serve(host: str, port: int) -> None:
    """Serve until cancelled; says on which port, which is a free one for port 0."""
    loop = asyncio.get_running_loop()
    pacer = Pacer(loop)
    server = await loop.create_server(lambda: Connection(pacer), host, port, backlog=1024)
    print("serving on port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=18100)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve("127.0.0.1", parser.parse_args().port))
