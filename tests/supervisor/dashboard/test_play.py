"""A prompt on its way through an API that answers as the test says."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from multiproxy.dialects.trial import Piece, Trial
from multiproxy.supervisor.dashboard.play import Play

TRIAL = Trial("chat", "demo", "Hi", 8)
HEAD = (
    b"HTTP/1.1 200 OK\r\nX-Request-Id: req_0123456789ab\r\nContent-Type: text/event-stream\r\n"
    b"Connection: close\r\n\r\n"
)
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'


def text(words):
    return b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % words


@asynccontextmanager
async def api(*answer, stays=False):
    """An address whose server writes ``answer``, and what it was sent, and when it was left."""
    seen, left = [], asyncio.Event()

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        seen.append(head + await reader.readexactly(length))
        for piece in answer:
            writer.write(piece)
        if stays:
            try:
                await reader.read()
            except OSError:
                pass
            left.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", seen, left


async def played(url, key=""):
    ticks = iter(range(1000))
    play = Play(url, TRIAL, key, lambda: next(ticks))
    return [piece async for piece in play.pieces()], play.outcome


async def test_the_answer_comes_with_its_numbers():
    async with api(HEAD, text(b"Hel"), text(b"lo"), USAGE) as (url, seen, _):
        pieces, outcome = await played(url, "sk-1")
    assert pieces == [Piece("text", "Hel"), Piece("text", "lo")]
    # the clock ticks at connecting, at sending, at each piece and at the end
    assert (outcome.ttft_s, outcome.tokens_per_s, outcome.total_s) == (1, 3.0, 3)
    assert (outcome.prompt_tokens, outcome.output_tokens) == (3, 4)
    assert (outcome.status, outcome.request_id, outcome.error) == (200, "0123456789ab", "")
    head = seen[0].lower()
    assert head.startswith(b"post /v1/chat/completions http/1.1\r\n")
    assert b"\r\nauthorization: bearer sk-1\r\n" in head


async def test_without_a_key_none_is_sent():
    async with api(HEAD) as (url, seen, _):
        await played(url)
    assert b"authorization" not in seen[0].lower()


async def test_a_refusal_is_told_in_the_apis_words():
    body = b'{"error": {"message": "No such model."}}'
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with api(head, body) as (url, _, _):
        pieces, outcome = await played(url)
    assert (pieces, outcome.status, outcome.error) == ([], 404, "No such model.")
    assert (outcome.ttft_s, outcome.tokens_per_s) == (None, None)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", HEAD[:40]])
async def test_an_api_that_fails_is_told_and_never_raised(answer):
    async with api(answer) as (url, _, _):
        pieces, outcome = await played(url)
    assert pieces == []
    assert outcome.error.startswith("The API could not be asked")


async def test_nobody_at_the_address_is_told():
    async with api() as (url, _, _):
        pass
    assert "could not be asked" in (await played(url))[1].error


async def test_who_leaves_ends_the_exchange():
    async with api(HEAD, text(b"Hel"), stays=True) as (url, _, left):
        pieces = Play(url, TRIAL, "", lambda: 0.0).pieces()
        assert await anext(pieces) == Piece("text", "Hel")
        await pieces.aclose()
        async with asyncio.timeout(20):
            await left.wait()
