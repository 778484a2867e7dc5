"""The Playground's page, form and stream, over an API that answers as the test says."""

import asyncio
import re
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from dashboard_scene import busy
from supervisor.dashboard.test_play import HEAD, USAGE, api, text

from multiproxy.errors import InvalidRequest
from multiproxy.supervisor.dashboard.playground import MOST_AT_ONCE, trial_of

FORM = {"dialect": "chat", "model": "demo", "prompt": "Say <b>hi</b>", "max_tokens": "8"}


async def opened(serve, url):
    scene = busy()
    scene.state = replace(scene.state, api_url=url)
    served = await serve(scene)
    page = (await served.get("/try")).text
    return served, re.search(r'name="token" value="([^"]+)"', page)[1]


def sent(token, **changes):
    return urlencode(FORM | {"token": token} | changes).encode()


async def test_the_page_offers_models_and_dialects(serve):
    page = (await (await serve()).get("/try")).text
    assert '<option value="gemma-3-27b-it">' in page
    assert page.count("<option value=") == 3 + len({"qwen", "gemma", "llama"})
    assert 'http-equiv="refresh"' not in page  # it would take away what is typed


async def test_without_script_the_page_comes_with_the_whole_answer(serve):
    async with api(HEAD, text(b"Hel"), text(b"<i>lo"), USAGE) as (url, _, _):
        served, token = await opened(serve, url)
        answer = await served.post("/try", sent(token, key="sk-secret"))
    assert answer.status == 200
    assert "Hel&lt;i&gt;lo</pre>" in answer.text
    assert "Say &lt;b&gt;hi&lt;/b&gt;</textarea>" in answer.text
    assert 'href="/requests/0123456789ab"' in answer.text
    assert "sk-secret" not in answer.text


async def test_the_stream_is_pieces_and_then_the_numbers(serve):
    async with api(HEAD, text(b"Hel"), text(b"lo"), USAGE) as (url, _, _):
        served, token = await opened(serve, url)
        client = await served.connect()
        body = sent(token)
        client.send(
            b"POST /try/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
            b"application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        assert (await client.head()).headers["content-type"] == "text/event-stream"
        assert await client.event() == 'event: piece\ndata: {"kind": "text", "text": "Hel"}'
        assert await client.event() == 'event: piece\ndata: {"kind": "text", "text": "lo"}'
        assert (await client.event()).startswith("event: outcome\ndata: {")


async def test_a_page_that_is_left_ends_the_generation(serve):
    async with api(HEAD, text(b"Hel"), stays=True) as (url, _, left):
        served, token = await opened(serve, url)
        client = await served.connect()
        body = sent(token)
        client.send(
            b"POST /try/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
            b"application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        await client.head()
        await client.event()
        client.close()
        async with asyncio.timeout(20):
            await left.wait()
        assert served.dashboard._routes._playground._running == 0


@pytest.mark.parametrize("path", ["/try", "/try/stream"])
async def test_without_our_token_nothing_is_asked(serve, path):
    async with api(HEAD) as (url, seen, _):
        served, token = await opened(serve, url)
        assert (await served.post(path, sent("wrong"))).status == 403
        assert (await served.post(path, sent(token), origin="null")).status == 403
    assert seen == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("dialect", "x"), ("model", " "), ("model", "m" * 201), ("prompt", " \n"), ("max_tokens", "0"),
     ("max_tokens", "9999"), ("max_tokens", "²"), ("key", "a\r\nX: 1"), ("key", "ключ")],
)  # fmt: skip
def test_a_field_that_makes_no_sense_is_named(field, value):
    with pytest.raises(InvalidRequest) as error:
        trial_of(FORM | {field: value})
    assert error.value.param == field


async def test_a_few_at_a_time_are_enough(serve):
    async with api(HEAD, stays=True) as (url, _, _):
        served, token = await opened(serve, url)
        served.dashboard._routes._playground._running = MOST_AT_ONCE
        answer = await served.post("/try/stream", sent(token), accept="application/json")
    assert answer.status == 503
    assert "running here already" in answer.text
