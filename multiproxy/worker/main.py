"""One worker process: what its exchanges share, its clock and its end."""

import asyncio
import gc
import math
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from typing import Any

from multiproxy._http.guard import Guard
from multiproxy._http.head import RequestHead
from multiproxy._http.request_body import BodyRoom
from multiproxy._http.server import ClientConnection
from multiproxy._http.service import Limits, Service
from multiproxy.config import Config, snapshot
from multiproxy.dialects.errors import render_messages, render_openai, render_responses
from multiproxy.dialects.jobs import Context, Responses
from multiproxy.dialects.responses_answer import ResponsesAnswer
from multiproxy.dialects.schema import RefusedTools
from multiproxy.dialects.translator import Translator
from multiproxy.errors import ProxyError
from multiproxy.scoreboard import BackendState, Finished, Scoreboard, WorkerState
from multiproxy.worker import cors, own_memory, tasks
from multiproxy.worker.access_log import AccessLog
from multiproxy.worker.account import Account
from multiproxy.worker.backends import Backends, parse_urls
from multiproxy.worker.capture import Captures
from multiproxy.worker.certificate import Certificate
from multiproxy.worker.doorway import Doorway
from multiproxy.worker.endpoints import dialect_of
from multiproxy.worker.exchange import Exchange
from multiproxy.worker.gate import Gate, Shared
from multiproxy.worker.lag import LoopLag
from multiproxy.worker.limit_store import LimitStore
from multiproxy.worker.local import JSON
from multiproxy.worker.mirror import Mirror
from multiproxy.worker.placer import Placer
from multiproxy.worker.pressure import Ladder
from multiproxy.worker.retries import Retries
from multiproxy.worker.rounds import LATE_S, READ_FIRST_S, Round
from multiproxy.worker.stored import Stored
from multiproxy.worker.tracing import Tracing
from multiproxy.worker.vocabularies import Vocabularies

TICK_S = 0.2  # one bar of the token flow
TICKS_PER_SWEEP = 5

_RENDERERS = {
    "openai": render_openai,
    "responses": render_responses,
    "messages": render_messages,
}


class Worker:
    """Everything that the exchanges of one process share."""

    def __init__(
        self, config: Config, extra: dict[str, Any], board: Scoreboard, index: int
    ) -> None:
        workers = extra.get("workers", 1)
        self.config = config
        self.board = board
        self.index = index
        self.row = board.workers[index]
        self.live = board.live[index]
        self.draining = False
        self._ring = board.ring(index)
        self._orders = board.orders.given(index)  # those before were for an earlier process
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._exchanges: set[Exchange] = set()
        self._exchange_round = Round(self._exchanges, Exchange.tick, TICK_S)
        self._chance = random.Random()  # seeded by the system: workers do not repeat each other
        self._certificate = Certificate(config.tls) if config.tls is not None else None
        self._drain_deadline = 0.0
        self._lag = LoopLag(TICK_S)
        self._ended = self._loop.create_future()
        self.guard = Guard(
            allowed_hosts=(*config.allowed_hosts, config.listen.host),
            any_address=not config.listen.is_loopback,
            origins=config.cors_origins,
            max_target=config.limits.target,
            max_value=config.limits.value,
            max_fields=config.limits.fields,
        )
        self.limit_store = LimitStore(config.limits.store) if config.limits.store else None
        shared = Shared(self.limit_store, extra["replica_of"]) if self.limit_store else None
        self.gate = Gate(config.keys, extra.get("keys", {}), board.keys, index, shared)
        self.backends = Backends(
            config, board, index, extra["backends"], parse_urls(extra.get("urls", {}))
        )
        self.placer = Placer(
            board,
            index,
            self.backends.weights,
            queue_limit=config.limits.queue,
            queue_s=config.timeouts.queue,
            names={position: id for id, position in extra["backends"].items()},
            groups=self.backends.groups,
            learn=self._learn,
        )
        self.placer.slots = self.backends.slots
        self.mirror = Mirror(self)
        self.vocabularies = Vocabularies(self)
        self.retries = Retries(config.retry, board, index, self.backends.is_refused)
        self.retries.budget.resize(*self.backends.slots.values())
        self.context = Context(
            self._chance,
            time.time,
            max_event_size=config.limits.event,
            max_answer_size=config.limits.answer,
            refused_tools=RefusedTools(),
            takes_remote=config.translation.image_urls == "forward",
        )
        ratio = extra.get("traces")
        self.tracing = None if ratio is None else Tracing(ratio, self._chance)
        folder = extra.get("captures", "")
        self.captures = Captures(config.capture, folder) if config.capture and folder else None
        self.stored = Stored(extra.get("responses", ""))
        self._log = AccessLog(2, as_json=_log_as_json(config.log.format))
        self._names = {position: id for id, position in extra["backends"].items()}
        self._service = Service(
            guard=self.guard,
            limits=_limits(config),
            open_exchange=self._open_exchange,
            render=self._refuse,
            connections=set(),
            room=BodyRoom(max(config.limits.body, config.limits.bodies // workers)),
        )
        self._connection_round = Round(
            self._service.connections,
            lambda connection, now, _: connection.sweep(now),
            TICK_S * TICKS_PER_SWEEP,
        )
        self._doorway = Doorway(
            self._service,
            board,
            index,
            self._certificate,
            most=max(1, config.limits.connections // workers),
        )

        memory = config.limits.memory or own_memory.available()
        share = memory // workers if memory is not None else None
        self._ladder = Ladder(self._service, self.row, share, own_memory.held)

    def new_id(self) -> str:
        """Return 12 hexadecimal digits that no other request here has."""
        return f"{self._chance.getrandbits(48):012x}"

    # -- for exchanges ----------------------------------------------------------------------

    def refresh(self) -> None:
        """Take over what the supervisor found out about the backends."""
        if self._learn() and self.placer.waiting:
            self.placer.wake()

    def _learn(self) -> bool:
        """Read the backend board; tells whether it had changed."""
        changed = self.backends.refresh()
        if changed:
            self.retries.budget.resize(*self.backends.slots.values())
        return changed

    def is_down(self, backend: int) -> bool:
        """Whether the probes found a backend dead."""
        return self.board.backends.state(backend) is BackendState.DOWN

    def cors_fields(self, head: RequestHead) -> bytes:
        """Return the header lines that let an allowed web page read the answer."""
        return cors.answer_fields(self.guard, head)

    async def keep_response(self, job: Responses, translator: Translator, owner: str) -> None:
        """Store a finished turn for its key's owner, if its client wants that."""
        if isinstance(translator, ResponsesAnswer) and translator.final and job.turn is not None:
            if job.turn.stores and self.stored.is_open:
                await self.stored.keep(job.turn, translator.final, owner)

    def render(self, error: ProxyError, request_id: str, dialect: str) -> tuple[int, bytes, bytes]:
        """Return status, header lines and body of an error answer."""
        rendered = _RENDERERS[dialect](error, request_id)
        lines = b"".join(b"%b: %b\r\n" % field for field in rendered.fields)
        return rendered.status, JSON + lines, rendered.body

    def finished(self, exchange: Exchange, record: Finished | None) -> None:
        """Account for an exchange that ended; None for one that nobody wants to read of."""
        self._exchanges.discard(exchange)
        if record is not None:
            self.record(record)

    def record(self, record: Finished) -> None:
        """Tell the supervisor and the log of what ended."""
        self._ring.append(record)
        self._log.write(record, self._names.get(record.backend, ""))

    # -- for the client connections -----------------------------------------------------------

    def _open_exchange(self, connection: ClientConnection, head: RequestHead) -> Exchange:
        exchange = Exchange(self, connection, head)
        self._exchanges.add(exchange)
        exchange.task = tasks.start(exchange.run())
        return exchange

    def _refuse(self, error: ProxyError, head: RequestHead | None) -> tuple[int, bytes, bytes]:
        """Render and account for a request that never became an exchange."""
        exchange_id = self.new_id()
        dialect = "openai" if head is None else dialect_of(head)
        status, fields, body = self.render(error, f"req_{exchange_id}", dialect)
        account = Account(self.live, exchange_id, "")
        account.failed(error)
        account.record.status = status
        self.record(account.close(None, 0, None, b""))
        return status, fields + b"X-Request-Id: req_%b\r\n" % exchange_id.encode(), body

    # -- the clock ----------------------------------------------------------------------------

    def serve(self, listener: socket.socket) -> None:
        """Begin to accept on the inherited socket, which other workers accept on as well."""
        self._doorway.open(listener)
        self.row.state = WorkerState.SERVING
        self._loop.call_later(TICK_S, self._tick, 0)

    def _tick(self, count: int, due: float = math.inf) -> None:
        started = time.monotonic_ns()
        now = self._loop.time()
        if now - due > LATE_S:
            self._loop.call_later(READ_FIRST_S, self._tick, count)
            return
        self._loop.call_later(TICK_S, self._tick, count + 1, now + TICK_S)
        self.refresh()
        self._carry_out_orders()
        self.retries.tick(started)
        self._exchange_round.begin()
        self.vocabularies.look()
        self.mirror.tick(now, started)
        self.placer.tell_line()
        self._ladder.look()
        if count % TICKS_PER_SWEEP == 0:
            self._connection_round.begin()
            self.backends.sweep(now)
            if self._certificate is not None:
                self._certificate.refresh()
        self.row.connections = len(self._service.connections)
        self.row.accepted = self._doorway.accepted
        self.row.log_dropped = self._log.dropped
        self.row.lag_ns = self._lag.tick(started)
        self.row.beat(started)
        self._log.flush()
        if self.draining:
            self._check_drained(now)

    def _carry_out_orders(self) -> None:
        """Cancel what an operator wants cancelled."""
        if self.board.orders.given(self.index) == self._orders:
            return
        ids, self._orders = self.board.orders.read(self.index, self._orders)
        for exchange in list(self._exchanges):
            if exchange.request_id[4:] in ids:
                exchange.cancel()
        for copy in list(self.mirror.running):
            if copy.request_id[4:] in ids:
                copy.stop()

    # -- ending -------------------------------------------------------------------------------

    def drain(self) -> None:
        """Accept nothing new, finish what runs; a second call ends at once."""
        if self.draining:
            self._end()
            return
        self.draining = self._service.draining = True
        self.row.state = WorkerState.DRAINING
        self.mirror.stop()
        self._drain_deadline = self._loop.time() + self.config.timeouts.drain
        self._doorway.close()
        for connection in list(self._service.connections):
            connection.drain()
        self._check_drained(self._loop.time())

    def _check_drained(self, now: float) -> None:
        is_empty = not self._service.connections and not self._doorway.shaking_hands
        if is_empty and not self._exchanges:
            self._end()
        elif now > self._drain_deadline:
            for exchange in list(self._exchanges):
                exchange.stop()
            self._loop.call_later(1.0, self._end)  # time for the error events to leave

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    async def wait_ended(self) -> None:
        """Return when the last client was served after ``drain``."""
        await self._ended
        if self.limit_store is not None:
            await self.limit_store.close()
        self.backends.close()
        self.stored.close()
        self._log.close()


def run(
    index: int, listener_fd: int, scoreboard_fd: int, snapshot_fd: int, lifeline_fd: int
) -> int:
    """Be worker ``index`` until drained; returns the exit code."""
    return _run_loop(_main(index, listener_fd, scoreboard_fd, snapshot_fd, lifeline_fd))


def _run_loop(main: Coroutine[Any, Any, int]) -> int:
    try:
        import uvloop
    except ImportError:  # Windows, or a debugging session: the same code runs on asyncio
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def _main(
    index: int, listener_fd: int, scoreboard_fd: int, snapshot_fd: int, lifeline_fd: int
) -> int:
    board = Scoreboard.attach(scoreboard_fd)
    with open(snapshot_fd, "rb") as file:
        file.seek(0)
        config, extra = snapshot.decode(file.read())
    board.workers[index].begin(os.getpid(), extra.get("generation", 0))
    worker = Worker(config, extra, board, index)
    loop = asyncio.get_running_loop()
    # Ctrl+C reaches the whole process group; the supervisor decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop.add_signal_handler(signal.SIGTERM, worker.drain)
    if lifeline_fd >= 0:
        loop.add_reader(lifeline_fd, _lifeline, lifeline_fd, worker)
    if worker.limit_store is not None:
        await worker.limit_store.start()
    # What is here now stays to the end: the garbage collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    worker.serve(socket.socket(fileno=listener_fd))
    await worker.wait_ended()
    return 0


def _lifeline(fd: int, worker: Worker) -> None:
    """The supervisor is gone: finish what runs, and do not stay behind."""
    asyncio.get_running_loop().remove_reader(fd)
    if not worker.draining:
        worker.drain()


def _limits(config: Config) -> Limits:
    limits, timeouts = config.limits, config.timeouts
    return Limits(
        head=limits.head,
        target=limits.target,
        pipelined=limits.pipelined,
        head_s=timeouts.head,
        body_idle_s=timeouts.body_idle,
        body_total_s=timeouts.body_total,
        keep_alive_s=timeouts.keep_alive,
        write_stall_s=timeouts.write_stall,
    )


def _log_as_json(format: str) -> bool:
    return format == "json" or (format == "auto" and not sys.stderr.isatty())
