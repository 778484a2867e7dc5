"""Requests in the backend's own dialect: whose bytes are sent, and when they are ours."""

from random import Random
from typing import Any

import orjson
import pytest
from chat_notation import ROLE, text

from multiproxy.dialects.jobs import Context, Messages, Responses
from multiproxy.dialects.messages_emit import MessagesEmitter
from multiproxy.dialects.native_job import ByBackend, Native
from multiproxy.dialects.native_relay import MessagesRelay, ResponsesRelay
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.request import understand
from multiproxy.dialects.responses_emit import ResponsesEmitter
from multiproxy.dialects.schema import RefusedTools
from multiproxy.errors import GrammarRejected, InvalidRequest, Unsupported

CONTEXT = Context(
    Random(1), lambda: 0.0, max_event_size=1000, max_answer_size=1000, refused_tools=RefusedTools()
)
OURS, ITS_OWN = Policy(), Policy(native=True)
BILLING = "x-anthropic-billing-header: cc_version=2.1; cch=%s;"
HI = [{"role": "user", "content": "hi"}]


def native(body: dict[str, Any] | bytes, path: bytes = b"/v1/messages") -> Native:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Native(understand(raw), "req_1", CONTEXT, path)


def test_the_clients_own_bytes_go_out():
    raw = b'{ "model": "demo", "messages": [], "unknown": 1.50 }'
    job = native(raw)
    assert job.encode(ITS_OWN, "demo") == raw
    assert (job.path, job.counting_path) == (b"/v1/messages", b"/v1/messages/count_tokens")
    assert not job.translates and not job.folds and job.dropped == ()


def test_only_the_name_of_the_model_is_changed():
    job = native({"model": "demo", "input": "hi", "x": [1]}, b"/v1/responses")
    assert orjson.loads(job.encode(ITS_OWN, "q4")) == {"model": "q4", "input": "hi", "x": [1]}
    assert job.counting_path == b"/v1/responses/input_tokens"


@pytest.mark.parametrize("path", [b"/v1/messages", b"/v1/responses"])
def test_media_that_a_backend_would_fetch_follow_the_operators_wish(path: bytes):
    def job(url: str) -> Native:
        image = {"type": "image", "source": {"type": "url", "url": url}}
        if path == b"/v1/messages":
            return native({"messages": [{"role": "user", "content": [image]}]}, path)
        item = {"role": "user", "content": [{"type": "input_image", "image_url": url}]}
        return native({"input": [item]}, path)

    refuses = Policy(native=True, image_urls="reject")
    assert b"https://x/y" in job("https://x/y").encode(ITS_OWN, None)
    with pytest.raises(Unsupported):
        job("https://x/y").encode(refuses, None)
    with pytest.raises(InvalidRequest):
        job("file:///etc/passwd").encode(ITS_OWN, None)
    assert b"data:" in job("data:image/png;base64,AA").encode(refuses, None)


@pytest.mark.parametrize("as_blocks", [True, False])
def test_the_changing_billing_line_never_reaches_a_backend(as_blocks: bool):
    sent = set()
    for cch in ("abc", "def"):
        line = BILLING % cch
        texts = [{"type": "text", "text": line}, {"type": "text", "text": "You are"}]
        system: object = texts if as_blocks else f"{line}\nYou are"
        job = native({"model": "demo", "messages": HI, "system": system})
        sent.add(job.encode(ITS_OWN, "demo"))
    (body,) = sent
    assert b"billing" not in body
    assert orjson.loads(body)["system"] == (texts[1:] if as_blocks else "You are")


@pytest.mark.parametrize("system", [None, 5, "x", [], [5], [{"type": "text", "text": "x"}]])
def test_any_other_system_prompt_stays_as_it_is(system: object):
    raw = orjson.dumps({"model": "demo", "messages": HI, "system": system}) + b" "
    assert native(raw).encode(ITS_OWN, "demo") == raw


def test_each_dialect_has_its_reader():
    assert type(native({"model": "demo"}).translator(None)) is MessagesRelay
    assert type(native({"model": "demo"}, b"/v1/responses").translator(None)) is ResponsesRelay


def test_a_refusal_is_told_and_not_worked_around():
    job = native({"model": "demo", "messages": HI, "tools": [{"name": "f"}]})
    assert not job.amend(GrammarRejected("no", status=400, type="invalid_request_error"))


# -- one request, backends of both kinds ------------------------------------------------------


def both(dialect: str) -> ByBackend:
    body = {"model": "demo", "stream": True}
    if dialect == "messages":
        told = understand(orjson.dumps(body | {"messages": HI}))
        messages = Messages(told, "req_1", CONTEXT, version="", betas="")
        return ByBackend(Native(told, "req_1", CONTEXT, b"/v1/messages"), messages)
    told = understand(orjson.dumps(body | {"input": "hi"}))
    responses = Responses(told, "req_1", CONTEXT)
    return ByBackend(Native(told, "req_1", CONTEXT, b"/v1/responses"), responses)


@pytest.mark.parametrize("dialect", ["messages", "responses"])
def test_each_backend_is_asked_in_its_way(dialect: str):
    work = both(dialect)
    assert work.at(ITS_OWN, None) is work.native
    ours = work.at(OURS, None)
    assert ours is work.translated and ours.at(ITS_OWN, None) is ours
    assert orjson.loads(ours.encode(OURS, "demo"))["messages"] == HI


@pytest.mark.parametrize("dialect", ["messages", "responses"])
def test_a_stream_that_our_words_have_opened_stays_ours(dialect: str):
    work = both(dialect)
    work.translated.encode(OURS, "demo")
    emitter = work.translated.translator(None)
    assert isinstance(emitter, MessagesEmitter | ResponsesEmitter)
    emitter.feed(ROLE + text("a"))
    assert work.at(ITS_OWN, emitter) is work.native  # nothing of it was sent
    emitter.open()
    assert work.at(ITS_OWN, emitter) is work.translated


def test_a_comment_binds_nobody():
    work = both("messages")
    work.translated.encode(OURS, "demo")
    emitter = work.translated.translator(None)
    assert emitter.keep_alive() == b": keep-alive\n\n"
    assert work.at(ITS_OWN, emitter) is work.native
