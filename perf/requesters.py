"""Many small requests on kept connections, each with a schedule and each answer compared."""

import asyncio
from typing import cast

import answers
from framing import AnswerReader, Place, WireError
from judge import Outcome
from plan import Plan
from tally import Load, Tally, flows, now_us, request_bytes


class Requester(asyncio.Protocol):
    """One keep-alive connection that sends its small requests on a schedule of its own."""

    def __init__(self, tally: Tally, host: str, run: str, first: int, size: int) -> None:
        self._tally = tally
        self._host = host
        self._plan = Plan(run, first, size=size)
        self._reader = AnswerReader()
        self._body = b""
        self.lost = False
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[None] | None = None
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def ask(self, due_us: int) -> None:
        """Send the next request and judge its answer; latency counts from ``due_us``."""
        assert self._transport is not None
        self._plan = self._plan._replace(request=self._plan.request + 1)
        self._reader = AnswerReader()
        self._body = b""
        self._answered = asyncio.get_running_loop().create_future()
        body: dict[str, object] = {"model": answers.MODEL, "input": self._plan.prompt()}
        self._transport.write(request_bytes(self._host, "/v1/embeddings", body))
        await self._answered
        self._tally.done += 1
        self._tally.latencies.append(now_us() - due_us)

    def data_received(self, data: bytes) -> None:
        try:
            self._body += self._reader.feed(data)
        except WireError as error:
            self._end(Outcome.WRONG, str(error))
            return
        if self._reader.place is not Place.DONE:
            return
        self.lost = self._reader.closes
        if self._reader.status != 200:
            self._end(Outcome.ERROR_BEFORE, f"{self._reader.status}: {self._body[:200]!r}")
        elif self._body != answers.small_body(self._plan):
            self._end(Outcome.WRONG, f"not the answer to {self._plan.request}")
        else:
            self._end(Outcome.OK, "")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._end(Outcome.RESET, "connection lost")
        self._closed.set_result(None)

    async def close(self) -> None:
        """The last request was answered."""
        if self._transport is not None:
            self._transport.close()
            await self._closed

    def _end(self, outcome: Outcome, why: str) -> None:
        if self._answered is None or self._answered.done():
            return
        self._tally.end(outcome, why)
        self._answered.set_result(None)


async def run_requests(load: Load, tally: Tally) -> None:
    """Send ``rate`` requests per second over all connections; rate 0: as fast as answered."""
    flows(load.connections)
    start_us = now_us()
    async with asyncio.TaskGroup() as group:
        for number in range(load.connections):
            group.create_task(_keep_asking(load, tally, number, start_us))


async def _keep_asking(load: Load, tally: Tally, number: int, start_us: int) -> None:
    loop = asyncio.get_running_loop()
    period_us = load.connections * 1_000_000 // load.rate if load.rate else 0
    due_us = start_us + period_us * number // load.connections
    end_us = start_us + int(load.seconds * 1_000_000)
    requester: Requester | None = None
    asked = number * 10_000_000  # so that no two connections ask the same
    while due_us < end_us:
        if requester is not None and requester.lost:
            await requester.close()
            requester = None
        if requester is None:
            try:
                _, requester = await loop.create_connection(
                    lambda first=asked: Requester(tally, load.address, load.run, first, load.size),  # type: ignore[misc]
                    load.host,
                    load.port,
                )
            except OSError as error:
                tally.end(Outcome.RESET, str(error))
                return
        if (early_us := due_us - now_us()) > 0:
            await asyncio.sleep(early_us / 1_000_000)
        asked += 1
        try:
            await asyncio.wait_for(requester.ask(due_us), load.hang_s)
        except TimeoutError:
            tally.end(Outcome.HANG, "no answer")
            break
        due_us = due_us + period_us if load.rate else now_us()
    if requester is not None:
        await requester.close()
