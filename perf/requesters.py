"""Many requests on kept connections, each with a schedule and each answer judged."""

import asyncio
from typing import cast

from framing import AnswerReader, Place, WireError
from judge import Judge, Outcome
from plan import Plan
from questions import QUESTIONS
from tally import Load, Tally, flows, now_us, request_bytes


class Requester(asyncio.Protocol):
    """One keep-alive connection that sends its requests on a schedule of its own."""

    def __init__(self, load: Load, tally: Tally) -> None:
        self._load = load
        self._tally = tally
        self._question = QUESTIONS[load.question]
        self._reader = AnswerReader()
        self._judge: Judge | None = None
        self._sent_us = 0
        self._refusal = b""
        self.lost = False
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[None] | None = None
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def ask(self, number: int, due_us: int) -> None:
        """Send a request and judge its answer; latency counts from ``due_us``.

        What the backend needs for its tokens is no latency.
        """
        assert self._transport is not None
        load = self._load
        plan = Plan(load.run, number, load.tokens, load.period_us, load.size, load.ballast)
        self._judge = self._question.judge(plan)
        self._reader = AnswerReader()
        self._refusal = b""
        self._answered = asyncio.get_running_loop().create_future()
        request = request_bytes(load.address, self._question.path, self._question.body(plan))
        self._sent_us = now_us()
        self._transport.write(request)
        await self._answered
        self._tally.done += max(1, load.tokens)
        planned_us = max(0, load.tokens - 1) * load.period_us
        self._tally.latencies.append(now_us() - due_us - planned_us)

    def data_received(self, data: bytes) -> None:
        judge, arrived_us = self._judge, now_us()
        assert judge is not None  # nobody answers before it is asked
        try:
            body = self._reader.feed(data)
        except WireError as error:
            self._end(Outcome.WRONG, str(error))
            return
        if self._reader.status != 200:
            self._refusal += body
        elif judge.feed(body, arrived_us) and self._sent_us:
            self._tally.first.append(arrived_us - self._sent_us)
            self._sent_us = 0
        if self._reader.place is not Place.DONE:
            return
        self.lost = self._reader.closes
        if self._reader.status != 200:
            self._end(Outcome.ERROR_BEFORE, f"{self._reader.status}: {self._refusal[:200]!r}")
        else:
            self._end(judge.finish(whole=True), judge.why)

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
    period_us = int(load.connections * 1_000_000 / load.rate) if load.rate else 0
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
                    lambda: Requester(load, tally), load.host, load.port
                )
            except OSError as error:
                tally.end(Outcome.RESET, str(error))
                return
        if (early_us := due_us - now_us()) > 0:
            await asyncio.sleep(early_us / 1_000_000)
        asked += 1
        try:
            await asyncio.wait_for(requester.ask(asked, due_us), load.hang_s)
        except TimeoutError:
            tally.end(Outcome.HANG, "no answer")
            break
        due_us = due_us + period_us if load.rate else now_us()
    if requester is not None:
        await requester.close()
