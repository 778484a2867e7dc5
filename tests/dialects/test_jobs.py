"""Jobs: the bytes a backend is sent, who reads its answer, and what a refusal changes."""

from random import Random
from typing import Any

import orjson
import pytest
from chat_notation import DONE, ROLE, event, finish, text, usage
from dialects.messages_grammar import check as check_messages
from dialects.responses_grammar import check as check_responses

from multiproxy.dialects.chat_fold import ChatFold
from multiproxy.dialects.jobs import (
    CHAT_PATH,
    Context,
    FoldedChat,
    Job,
    Messages,
    Relayed,
    Responses,
    Translated,
    chat_job,
)
from multiproxy.dialects.messages_emit import MessagesEmitter
from multiproxy.dialects.messages_fold import MessagesFold
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.request import understand
from multiproxy.dialects.responses_emit import ResponsesEmitter
from multiproxy.dialects.responses_fold import ResponsesFold
from multiproxy.dialects.schema import RefusedTools
from multiproxy.dialects.translator import Translator
from multiproxy.errors import (
    BackendDied,
    GrammarRejected,
    InvalidJSON,
    InvalidRequest,
    OutputTooLong,
    PrefillRejected,
    ProxyError,
)

LLAMA, STRICT = Policy(), Policy(engine="strict")
MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": "demo", "messages": MESSAGES}
ASKED = CHAT | {"max_tokens": 9}
RESPONSE = {"model": "demo", "input": "hi"}
PARAMETERS = {"type": "object", "properties": {"a": {"type": "string", "pattern": "\\d+"}}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": PARAMETERS}}
PLAIN = {"type": "object", "properties": {"a": {"type": "string"}}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": ["DEEP"]}}
USE = {"type": "tool_use", "id": "1", "name": "f", "input": "DEEP"}
CALLED = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "1"}
ANSWER = ROLE + text("a") + finish() + usage() + DONE
REFUSED = {"status": 400, "type": "invalid_request_error"}


def context() -> Context:
    return Context(
        Random(1),
        lambda: 1000.0,
        max_event_size=1 << 20,
        max_answer_size=1 << 20,
        refused_tools=RefusedTools(),
    )


def chat(body: dict[str, Any] | bytes, *, fold: bool = True, shared: Context | None = None) -> Job:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return chat_job(understand(raw), "req_1", shared or context(), fold=fold)


def messages(shared: Context | None = None, **more: object) -> Messages:
    request = understand(orjson.dumps(ASKED | more))
    return Messages(request, "req_1", shared or context(), version="2023-06-01", betas="")


def responses(body: dict[str, Any] | None = None, **options: Any) -> Responses:
    request = understand(orjson.dumps(RESPONSE | (body or {})))
    return Responses(request, "req_1", context(), **options)


def sent(job: Job, policy: Policy = LLAMA, model: str | None = "demo") -> dict[str, Any]:
    body = orjson.loads(job.encode(policy, model))
    assert isinstance(body, dict)
    return body


def answer(translator: Translator, stream: bytes = ANSWER) -> bytes:
    out = translator.open() + translator.feed(stream)
    if not translator.finished:
        out += translator.eof()
    assert translator.finished and translator.failure is None
    return out


# -- relayed --------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"}", b" }", b"}\r\n\t "])
def test_a_streamed_chat_asks_a_llama_server_for_its_progress(end: bytes):
    raw = b'{"model":"demo", "stream":true, "messages":[]'
    job = chat(raw + end)
    body = job.encode(LLAMA, "demo")
    assert body == raw + end.rstrip()[:-1] + b',"return_progress":true}'
    assert orjson.loads(body) == orjson.loads(raw + end) | {"return_progress": True}
    assert type(job) is Relayed and not job.translates and not job.folds


@pytest.mark.parametrize("wish", [True, False, None])
def test_a_client_that_asked_itself_gets_its_own_way(wish: object):
    raw = orjson.dumps(CHAT | {"stream": True, "return_progress": wish})
    job = chat(raw)
    assert job.encode(LLAMA, "demo") == raw
    progress = event({"choices": [], "prompt_progress": {"total": 9, "processed": 1, "cache": 0}})
    assert progress in answer(job.translator(None), progress + ANSWER)


@pytest.mark.parametrize(
    ("body", "policy", "fold"),
    [
        (b' {"model" : "demo","stream":true,"messages":[]} ', STRICT, True),
        (b'{"model":"demo","stream":false,"messages":[]}\n', LLAMA, False),
        (b'{"messages":[{"role":"assistant","content":"a"}],"model":"demo"}', LLAMA, True),
    ],
    ids=["another engine", "not streamed", "a text to continue"],
)
def test_otherwise_the_clients_bytes_go_out_as_they_came(body: bytes, policy: Policy, fold: bool):
    job = chat(body, fold=fold)
    assert type(job) is Relayed
    assert job.encode(policy, "demo") == body


def test_other_endpoints_are_not_asked_for_progress():
    raw = orjson.dumps({"model": "demo", "stream": True, "prompt": "a"})
    job = Relayed(understand(raw), "req_1", context(), b"/v1/completions")
    assert (job.encode(LLAMA, "demo"), job.path) == (raw, b"/v1/completions")


def test_progress_that_was_not_asked_for_is_taken_out_again():
    job = chat(CHAT | {"stream": True})
    progress = event(
        {
            "choices": [{"index": 0, "delta": {}, "finish_reason": None}],
            "prompt_progress": {"total": 9, "processed": 1, "cache": 0, "time_ms": 1},
        }
    )
    job.encode(LLAMA, "demo")
    reader = job.translator(None)
    assert b"prompt_progress" not in answer(reader, ROLE + progress + text("a") + finish() + DONE)
    assert reader.progress is not None and reader.progress.total == 9
    job.encode(STRICT, "demo")  # another attempt, at an engine that was not asked
    assert job.translator(reader)._strips_progress is False


def test_the_backends_name_of_the_model_is_put_in():
    job = chat(CHAT | {"stream": True})
    assert sent(job, LLAMA, "other") == CHAT | {
        "stream": True,
        "model": "other",
        "return_progress": True,
    }
    assert sent(job, STRICT, None) == CHAT | {"stream": True}


# -- the history of a chat --------------------------------------------------------------------


def history(arguments: object) -> list[dict[str, Any]]:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [*MESSAGES, {"role": "assistant", "tool_calls": [call]}, *MESSAGES]


@pytest.mark.parametrize("stream", [True, False])
def test_arguments_that_are_no_object_are_mended(stream: bool):
    job = chat({"model": "demo", "messages": history('{"a":'), "stream": stream})
    (call,) = sent(job)["messages"][1]["tool_calls"]
    assert orjson.loads(call["function"]["arguments"]) == {"__unparsed_arguments": '{"a":'}
    assert type(job) is (Relayed if stream else FoldedChat)


def test_a_history_in_order_is_not_written_again():
    raw = b'{ "model":"demo","stream":true,"messages":%b}' % orjson.dumps(history('{"a": 1}'))
    assert chat(raw).encode(STRICT, "demo") == raw


# -- folded -----------------------------------------------------------------------------------


def test_a_whole_chat_answer_is_asked_for_as_a_stream():
    job = chat(CHAT)
    assert type(job) is FoldedChat and job.folds and job.translates
    assert sent(job, STRICT) == CHAT | {
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert sent(job, LLAMA)["return_progress"] is True
    assert sent(job, LLAMA, "other")["model"] == "other"
    assert sent(job, LLAMA, None)["model"] == "demo"


def test_its_stream_becomes_one_object():
    job = chat(CHAT)
    job.encode(LLAMA, "demo")
    reader = job.translator(None)
    assert type(reader) is ChatFold
    whole = orjson.loads(answer(reader))
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "a"}


# -- messages and responses ---------------------------------------------------------------------


def test_what_was_written_to_see_whether_it_can_be_told_is_what_is_sent():
    job = messages()
    checked = job.encode(LLAMA, "demo")
    assert job.encode(LLAMA, "demo") is checked
    again = job.encode(LLAMA, "demo")  # for another attempt; nothing was kept until then
    assert again == checked and again is not checked
    assert orjson.loads(job.encode(LLAMA, "other"))["model"] == "other"
    assert orjson.loads(job.encode(STRICT, "other")) != orjson.loads(job.encode(LLAMA, "other"))


def test_messages_are_translated_and_stream_or_fold():
    job = messages(stream=True)
    body = sent(job, LLAMA, "other")
    assert (job.path, job.folds, body["stream"], body["model"]) == (CHAT_PATH, False, True, "other")
    assert body["messages"] == MESSAGES and body["max_tokens"] == 9
    told = check_messages(answer(job.translator(None)))
    assert told.is_over and told.blocks == [{"type": "text", "text": "a"}]
    folded = messages()
    assert folded.folds and sent(folded)["stream"] is True
    assert orjson.loads(answer(folded.translator(None)))["content"][0]["text"] == "a"


def test_responses_are_translated_and_stream_or_fold():
    job = responses({"stream": True})
    assert sent(job)["messages"] == MESSAGES and not job.folds
    assert check_responses(answer(job.translator(None))).end["status"] == "completed"
    folded = responses()
    sent(folded)
    assert folded.folds
    assert orjson.loads(answer(folded.translator(None)))["output"][0]["type"] == "message"


def test_what_is_stored_comes_before_the_turn():
    earlier = [{"type": "message", "role": "user", "content": "before"}]
    items = {"msg_1": {"type": "message", "role": "user", "content": "named"}}
    body = {"input": [{"type": "item_reference", "id": "msg_1"}, *MESSAGES]}
    job = responses(body, history=earlier, stored_items=items, can_store=True)
    assert sent(job)["messages"][0]["content"] == "before\n\nnamed\n\nhi"
    assert job.turn is not None and job.turn.stores
    assert len(job.turn.input) == 2
    without = responses()
    sent(without)
    assert without.turn is not None and not without.turn.stores


@pytest.mark.parametrize("kind", [messages, responses])
def test_fields_that_no_backend_knows_are_named(kind: Any):
    job = messages(speed="fast") if kind is messages else responses({"truncation": "auto"})
    assert job.dropped == ()
    sent(job)
    assert job.dropped == (("speed",) if kind is messages else ("truncation",))


@pytest.mark.parametrize("job", [messages(messages=7), responses({"input": 7})])
def test_what_cannot_be_told_to_a_backend_is_refused(job: Job):
    with pytest.raises(InvalidRequest):
        job.encode(LLAMA, "demo")


@pytest.mark.parametrize(
    "body",
    [
        CHAT | {"tools": [{"type": "function", "function": {"name": "f", "parameters": "DEEP"}}]},
        ASKED | {"tools": [{"name": "f", "input_schema": "DEEP"}]},
        RESPONSE | {"tools": [{"type": "function", "name": "f", "parameters": "DEEP"}]},
        CHAT | {"messages": [{"role": "assistant", "tool_calls": [CALL]}, *MESSAGES]},
        ASKED | {"messages": [*MESSAGES, {"role": "assistant", "content": [USE]}, *MESSAGES]},
        ASKED | {"tools": [{"name": "f", "input_schema": {}, "input_examples": ["DEEP"]}]},
        RESPONSE | {"input": [CALLED, {**RESULT, "output": ["DEEP"]}]},
        RESPONSE | {"input": [{**CALLED, "arguments": "DEEP"}, {**RESULT, "output": ""}]},
        RESPONSE | {"metadata": "DEEP"},
    ],
)
def test_what_is_nested_too_deeply_to_be_written_is_the_clients_mistake(body: dict[str, Any]):
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    request = understand(orjson.dumps(body).replace(b'"DEEP"', deep))
    shared = context()
    shared.refused_tools.add([TOOL])  # lists of tools are compared with it
    with pytest.raises(InvalidJSON, match="nested too deeply"):
        if "input" in body:
            job: Job = Responses(request, "req_1", shared)
        elif "max_tokens" in body:
            job = Messages(request, "req_1", shared, version="", betas="")
        else:
            job = chat_job(request, "req_1", shared, fold=True)
        job.encode(LLAMA, "demo")


def test_a_second_attempt_goes_on_where_the_first_one_was():
    for job in (messages(stream=True), responses({"stream": True})):
        sent(job)
        first = job.translator(None)
        begun = first.open()
        assert isinstance(first, MessagesEmitter | ResponsesEmitter)
        first.feed(ROLE)
        second = job.translator(first)
        rest = second.open() + second.feed(ANSWER) + second.eof()
        check = check_messages if isinstance(job, Messages) else check_responses
        check(begun + rest)


def test_a_fold_keeps_its_name_over_attempts():
    for job, kind, name in (
        (messages(), MessagesFold, "message_id"),
        (responses(), ResponsesFold, "response_id"),
    ):
        sent(job)
        first = job.translator(None)
        second = job.translator(first)
        assert type(first) is type(second) is kind
        assert orjson.loads(answer(second))["id"] == getattr(first, name)


def test_another_kind_of_reader_is_nothing_to_go_on_from():
    for job in (messages(), responses()):
        sent(job)
        other = ChatFold("req_1")
        assert answer(job.translator(other))


# -- after a refusal --------------------------------------------------------------------------


def test_refused_schemas_are_simplified_for_this_request_and_the_next():
    shared = context()
    job = chat(CHAT | {"tools": [TOOL]}, shared=shared)
    assert sent(job)["tools"] == [TOOL]
    assert job.amend(GrammarRejected("no", **REFUSED))
    assert sent(job)["tools"][0]["function"]["parameters"] == PLAIN
    later = chat(CHAT | {"tools": [TOOL]}, shared=shared)
    assert sent(later)["tools"][0]["function"]["parameters"] == PLAIN


def test_schemas_are_simplified_when_the_operator_wants_it():
    error = GrammarRejected("failed to parse grammar", **REFUSED)
    tools = {"tools": [{"name": "f", "input_schema": PARAMETERS}]}
    always, off = Policy(schema_sanitize="always"), Policy(schema_sanitize="off")
    for job in (messages(**tools), chat(CHAT | {"tools": [TOOL]})):
        assert sent(job, always)["tools"][0]["function"]["parameters"] == PLAIN
        assert not job.amend(error)
    for job in (messages(**tools), chat(CHAT | {"tools": [TOOL]})):
        assert sent(job, off)["tools"][0]["function"]["parameters"] == PARAMETERS
        assert not job.amend(error)
        assert sent(job, off)["tools"][0]["function"]["parameters"] == PARAMETERS


def test_without_tools_there_is_nothing_to_simplify():
    job = chat(CHAT)
    sent(job)
    assert not job.amend(GrammarRejected("no", **REFUSED))


def test_a_refused_prefill_is_sent_without_thinking():
    job = messages(thinking={"type": "enabled", "budget_tokens": 1024})
    assert sent(job)["chat_template_kwargs"] == {"enable_thinking": True}
    assert job.amend(PrefillRejected("no", **REFUSED))
    assert sent(job)["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_that_would_not_fit_is_asked_for_shorter(name: str):
    job = chat(CHAT | {name: 9000})
    sent(job, STRICT)
    error = OutputTooLong(1000, 9000, 4096)
    assert job.amend(error)
    body = sent(job, STRICT)
    assert body.pop("max_tokens") == error.fitting_max_tokens == 4096 - 1000 - 16
    assert "max_completion_tokens" not in body


def test_where_no_answer_would_fit_none_is_asked_for():
    job = messages()
    sent(job)
    assert not job.amend(OutputTooLong(4000, 9000, 4096))


@pytest.mark.parametrize(
    "error",
    [
        GrammarRejected("no", **REFUSED),
        PrefillRejected("no", **REFUSED),
        OutputTooLong(1000, 9000, 4096),
    ],
)
def test_what_did_not_help_is_not_tried_again(error: ProxyError):
    job: Translated = messages(tools=[{"name": "f", "input_schema": PARAMETERS}])
    sent(job)
    assert job.amend(error)
    once = sent(job)
    assert not job.amend(error)
    assert sent(job) == once


def test_one_change_does_not_undo_another():
    job = messages(tools=[{"name": "f", "input_schema": PARAMETERS}])
    sent(job)
    for error in (
        OutputTooLong(1000, 9000, 4096),
        GrammarRejected("no", **REFUSED),
        PrefillRejected("no", **REFUSED),
    ):
        assert job.amend(error)
    body = sent(job, STRICT, "other")
    assert body["max_tokens"] == 3080 and body["model"] == "other"
    assert body["chat_template_kwargs"]["enable_thinking"] is False
    assert body["tools"][0]["function"]["parameters"] == PLAIN


def test_other_errors_change_nothing():
    for job in (messages(), responses(), chat(CHAT), chat(CHAT | {"stream": True})):
        before = sent(job)
        assert not job.amend(BackendDied("gone"))
        assert sent(job) == before
    relayed = chat(CHAT | {"stream": True, "tools": [TOOL]})
    assert not relayed.amend(GrammarRejected("no", **REFUSED))
