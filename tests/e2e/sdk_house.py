"""The house that the SDKs are tried in, and what its backend says to them word for word."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import openai
from chat_notation import DONE, ERROR, ROLE, call, finish, reasoning, text, usage, verbose
from multiproxy_process import TRACEBACK, MultiProxyProcess
from waiting import until

from multiproxy import simulator
from multiproxy.simulator import Settings

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_NAMES = b'"id":"chatcmpl-1","created":1763856000,"model":"demo",'


def _named(chunks: bytes) -> bytes:
    """The chunks with the members that llama-server puts into each, and SDKs look for."""
    return chunks.replace(b'"choices":', _NAMES + b'"choices":')


# The SDK overlooks a usage chunk that is not named as one.
_USAGE = usage(prompt=10, cached=6, output=4).replace(
    b"{", b'{"object":"chat.completion.chunk",', 1
)
END = _USAGE + DONE
_ANSWERS = {
    "text": [ROLE, text("Hel"), text("lo"), finish() + END],
    "think": [ROLE, reasoning("hm"), reasoning("m"), text("ok"), finish(), END],
    "call": [ROLE, call(0, "c0", "weather", '{"city":'), call(0, arguments='"A"}'),
             finish("tool_calls"), END],
    "calls": [ROLE, text("I look."), call(0, "c0", "weather", '{"city":"A"}'),
              call(1, "c1", "weather", '{"city":'), call(1, arguments='"B"}'),
              call(2, "c2", "clock", "{}"), finish("tool_calls"), END],
    "word": [ROLE, text("a"), finish(__verbose=verbose("word", "END")), END],
    "length": [ROLE, text("abc"), finish("length"), END],
}  # fmt: skip
_BEGUN = _named(ROLE + text("Once upon"))
# The process ended, it ended politely, it said so, and it forgot the finish.
_DEATHS = {
    "cut": [_HEAD + b"%x\r\n%b\r\n" % (len(_BEGUN), _BEGUN)],
    "early-end": [_BEGUN],
    "error": [_BEGUN, ERROR],
    "no-finish": [_BEGUN, DONE],
}
DEATHS = tuple(_DEATHS)
SCRIPTS = {name: [*map(_named, pieces)] for name, pieces in _ANSWERS.items()} | _DEATHS

SETTINGS: dict[str, Any] = {
    "tokens_per_second": 0,
    "prompt_tokens_per_second": 0,
    "context_size": 2048,
    "keep_bodies": True,
    "scripts": SCRIPTS,
}


@contextmanager
def running_simulator() -> Iterator[Any]:
    """A simulator that serves while the test's own thread waits in a synchronous SDK."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        starting = asyncio.run_coroutine_threadsafe(simulator.start(Settings(**SETTINGS)), loop)
        server = starting.result(10)
        yield server
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def sdk_house(folder: Path) -> Iterator[SimpleNamespace]:
    """A simulator (``backend``), the MultiProxy before it, and both SDKs without retries."""
    with running_simulator() as backend:
        config = {"backends": [{"id": "sim", "url": f"http://127.0.0.1:{backend.port}"}]}
        proxy = MultiProxyProcess(config, folder)
        options = {"api_key": "unused", "max_retries": 0, "timeout": 10}
        try:
            proxy.wait_until_ready()
            until(lambda: "sim is up" in proxy.log_text())
            with (
                openai.OpenAI(base_url=f"{proxy.url}/v1", **options) as chat,
                anthropic.Anthropic(base_url=proxy.url, **options) as messages,
            ):
                yield SimpleNamespace(openai=chat, anthropic=messages, backend=backend, proxy=proxy)
        finally:
            proxy.end()
        assert TRACEBACK not in proxy.log_text(), proxy.log_text()
