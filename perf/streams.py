"""Many streamed answers at once, each judged piece by piece as it arrives."""

import asyncio
from typing import cast

from framing import AnswerReader, Place, WireError
from judge import Outcome
from plan import Plan
from questions import QUESTIONS, Question
from tally import Load, Tally, flows, now_us, request_bytes

_OPEN_PAUSE_S = 0.002  # between two new streams: a real crowd does not arrive in one packet


class Stream(asyncio.Protocol):
    """One streamed answer, judged piece by piece; ``ended`` resolves whatever happens."""

    def __init__(self, plan: Plan, question: Question, host: str, tally: Tally) -> None:
        self._judge = question.judge(plan)
        self._question = question
        self._reader = AnswerReader()
        self._tally = tally
        self._host = host
        self._sent_us = 0
        self._transport: asyncio.Transport | None = None
        self.started = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        body = self._question.body(self._judge.plan)
        self._sent_us = now_us()
        self._transport.write(request_bytes(self._host, self._question.path, body))

    def data_received(self, data: bytes) -> None:
        arrived_us = now_us()
        try:
            body = self._reader.feed(data)
        except WireError as error:
            self._end(Outcome.WRONG, str(error))
            return
        if self._reader.status != 200:
            if self._reader.place is Place.DONE:
                self._end(Outcome.ERROR_BEFORE, f"status {self._reader.status}: {body[:200]!r}")
            return
        latencies = self._judge.feed(body, arrived_us)
        if latencies:
            if not self.started.done():
                self._tally.first.append(arrived_us - self._sent_us)
                self.started.set_result(None)
            self._tally.done += len(latencies)
            self._tally.latencies += latencies
        if self._reader.place is Place.DONE:
            self._end(self._judge.finish(whole=True), self._judge.why)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(self._judge.finish(whole=False), self._judge.why)
        self.closed.set_result(None)

    def refused(self, error: OSError) -> None:
        """There was no connection."""
        self._end(Outcome.RESET, str(error))
        self.closed.set_result(None)

    def give_up(self) -> None:
        """The limit has passed: whatever has not ended hangs."""
        self._end(Outcome.HANG, f"{self._judge.seen} of {self._judge.plan.events} events")

    def _end(self, outcome: Outcome, why: str) -> None:
        if self.ended.done():
            return
        self._tally.end(outcome, why)
        self.ended.set_result(None)
        if not self.started.done():
            self.started.set_result(None)
        if self._transport is not None:
            self._transport.close()


async def run_streams(load: Load, tally: Tally) -> None:
    """Open the streams, report when all flow, wait for their ends."""
    loop = asyncio.get_running_loop()
    events, period_us = load.stream_plan()
    streams: list[Stream] = []
    for number in range(load.streams):
        plan = Plan(load.run, number, events, period_us)
        stream = Stream(plan, QUESTIONS[load.question], load.address, tally)
        streams.append(stream)
        try:
            await loop.create_connection(lambda s=stream: s, load.host, load.port)  # type: ignore[misc]
        except OSError as error:
            stream.refused(error)
        await asyncio.sleep(_OPEN_PAUSE_S)
    limit = load.seconds + load.hang_s
    await asyncio.wait([stream.started for stream in streams], timeout=load.hang_s)
    flows(load.streams)
    await asyncio.wait([stream.ended for stream in streams], timeout=limit)
    for stream in streams:
        stream.give_up()
        await stream.closed
