"""Nothing of a request is left in the worker's memory when its exchange is over."""

import asyncio
import gc
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import chat_notation as notation
import pytest
from worker.conftest import Staff
from worker.workplace import Answer, Workplace

import multiproxy
from multiproxy.config import Retry
from multiproxy.routing.poison import CONFIRM_NS
from multiproxy.worker.stored import Stored

PACKAGE = Path(multiproxy.__file__).parent

DIALECTS = {
    "chat": ("/v1/chat/completions", "messages"),
    "messages": ("/v1/messages", "messages"),
    "responses": ("/v1/responses", "input"),
}
END = notation.usage() + notation.DONE
BEGUN = notation.ROLE + notation.text("Once upon a time")
SCRIPTS: dict[str, list[bytes | float]] = {
    "text": [notation.ROLE, notation.text("Hello"), notation.finish() + END],
    "think": [notation.ROLE, notation.reasoning("hm"), notation.text("ok"), notation.finish(), END],
    "calls": [notation.ROLE, notation.call(0, "c0", "f", '{"x":'), notation.call(1, "c1", "g", ""),
              notation.call(0, arguments="1}"), notation.finish("tool_calls"), END],
    "length": [notation.ROLE, notation.text("abc"), notation.finish("length"), END],
    "early-end": [BEGUN],
    "error": [BEGUN, notation.ERROR],
    "no-finish": [BEGUN, notation.DONE],
    "no-json": [BEGUN, b"data: {\n\n"],
    "endless": [notation.ROLE, *([notation.text("word "), 0.002] * 500)],
}  # fmt: skip
TOOLS = {
    "chat": [{"type": "function", "function": {"name": name}} for name in "fg"],
    "messages": [{"name": name, "input_schema": {}} for name in "fg"],
    "responses": [{"type": "function", "name": name} for name in "fg"],
}
MORE = {
    "chat": {"stream_options": {"include_usage": True}},
    "messages": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
    "responses": {"reasoning": {"summary": "auto"}},
}
LEAVES_AFTER = (0, 1, 3, 9, 40)  # turns of the loop


class Crowd:
    """Clients that ask everything there is to ask, or leave; ``round`` is one of each."""

    def __init__(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self.exchanges = 0
        self.statuses: Counter[int] = Counter()

    async def rounds(self, count: int) -> None:
        for _ in range(count):
            await self.round()

    async def round(self) -> None:
        for dialect in DIALECTS:
            for stream in (True, False):
                for script in SCRIPTS:
                    if script != "endless":
                        await self.ask(dialect, f"@script {script}", stream=stream)
                for turns in LEAVES_AFTER:
                    await self.leave(dialect, turns, stream=stream)
                await self.ask(dialect, "word " * 3000, stream=stream)  # more than the context
                await self.ask(dialect, "hi", stream=stream, model="nobody's")
                await self.ask(dialect, {"type": "x"}, stream=stream)
        await self.post("/v1/messages/count_tokens", self.body("messages", "hi"))
        await self.post("/v1/chat/completions", b"{")
        await self.post("/v1/embeddings", {"model": "demo", "input": "hi"})
        await self.post("/v1/nothing", {})
        await self.conversation()

    async def conversation(self) -> None:
        """Three stored responses, each the next one's history, and one that nobody stored."""
        question = self.body("responses", "@script text", store=True)
        last = (await self.post("/v1/responses", question)).json
        for _ in range(2):
            question["previous_response_id"] = last["id"]
            last = (await self.post("/v1/responses", question)).json
            assert last["status"] == "completed"
        await self.post("/v1/responses/resp_1", None, "GET")

    def body(self, dialect: str, said: object, **members: object) -> dict[str, Any]:
        key = DIALECTS[dialect][1]
        history = [{"role": "user", "content": said}]
        more = {"model": "demo", "tools": TOOLS[dialect], "store": False, **MORE[dialect]}
        return {key: history, **more, **members}

    async def ask(self, dialect: str, said: object, **members: object) -> None:
        if members.get("stream") is False and dialect == "chat":
            members["stream_options"] = None
        await self.post(DIALECTS[dialect][0], self.body(dialect, said, **members))

    async def post(self, path: str, body: object, method: str = "POST") -> Answer:
        self.exchanges += 1
        client = self.workplace.client()
        answer = await client.ask(body, path, method)
        self.statuses[answer.status] += 1
        client.leave()
        return answer

    async def leave(self, dialect: str, turns: int, *, stream: bool) -> None:
        """Ask for an answer that takes for ever, and leave after some turns of the loop."""
        self.exchanges += 1
        client = self.workplace.client()
        client.send(self.body(dialect, "@script endless", stream=stream), DIALECTS[dialect][0])
        for _ in range(turns):
            await asyncio.sleep(0)
        client.leave()
        await self.workplace.settled()


@pytest.fixture
async def crowd(staff: Staff, tmp_path: Path) -> AsyncIterator[Crowd]:
    config = {"retry": Retry(attempts=1)}  # a second try comes after a pause
    workplace, _ = await staff(config=config, scripts=SCRIPTS, context_size=1024, embeddings=True)
    workplace.worker.stored = Stored(str(tmp_path / "responses"))
    yield Crowd(workplace)
    workplace.worker.stored.close()


async def settle(workplace: Workplace) -> None:
    """Let go of what is kept for a while: idle connections, what may have killed a backend,
    and the lines of our own log.
    """
    workplace.log.records.clear()
    workplace.worker.retries.tick(time.monotonic_ns() + CONFIRM_NS)
    workplace.worker.backends.sweep(asyncio.get_running_loop().time() + 1e6)
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()


def objects() -> Counter[str]:
    """How many objects there are of each of the proxy's own classes."""
    names = (f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    return Counter(
        name for name in names
        if name.startswith("multiproxy.") and not name.startswith("multiproxy.simulator.")
    )  # fmt: skip


def bytes_by_line() -> Counter[str]:
    """Bytes that are still there of what each line of the proxy asked for, since the start."""
    code = [
        tracemalloc.Filter(True, f"{PACKAGE}/*"),
        tracemalloc.Filter(False, f"{PACKAGE}/simulator/*"),
        # Python's sqlite3 lets go of used cursors when there are 200 of them.
        tracemalloc.Filter(False, f"{PACKAGE}/dialects/responses_store.py"),
    ]
    lines = tracemalloc.take_snapshot().filter_traces(code).statistics("lineno")
    return Counter({str(each.traceback): each.size for each in lines})


@pytest.mark.timeout(600)
async def test_no_object_of_an_exchange_is_left(crowd: Crowd, full: bool) -> None:
    """10,000 exchanges with ``--full``: one that leaves one object behind would leave 100."""
    rounds = 96 if full else 16
    await crowd.rounds(2)
    await settle(crowd.workplace)
    before = objects()
    await crowd.rounds(rounds)
    await settle(crowd.workplace)
    assert {name: count for name, count in (objects() - before).items() if count > 4} == {}
    assert crowd.exchanges > (10_000 if full else 1_800)
    assert set(crowd.statuses) == {200, 400, 404, 502}
    assert not crowd.workplace.exchanges


@pytest.mark.timeout(600)
async def test_no_bytes_of_an_exchange_are_left(crowd: Crowd, full: bool) -> None:
    rounds = 96 if full else 8
    await crowd.rounds(2)
    tracemalloc.start()
    try:
        await crowd.rounds(4)
        await settle(crowd.workplace)
        before = bytes_by_line()
        await crowd.rounds(rounds)
        await settle(crowd.workplace)
        left = bytes_by_line() - before
    finally:
        tracemalloc.stop()
    # Python's own regular expressions keep 47 bytes of every fiftieth search or so.
    assert left.total() < 4096 + crowd.exchanges, left.most_common(5)
