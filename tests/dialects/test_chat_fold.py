"""A folded Chat stream against what llama-server itself answers without streaming."""

from typing import Any

import orjson
import pytest
import recordings
from chat_notation import (
    DONE,
    ERROR,
    ROLE,
    call,
    chunk,
    cuts,
    event,
    finish,
    fragment,
    progress,
    reasoning,
    text,
    usage,
)

from multiproxy.dialects.chat_fold import ChatFold, can_fold, folded_request
from multiproxy.errors import BackendDied, BackendError, BackendProtocolError, ProxyError

# Recordings of one request with and without streaming; seed and prompt are the same.
PAIRS = {
    "chat.stream.include_usage": "chat.nonstream",
    "chat.stream.reasoning.include_usage": "chat.nonstream.reasoning",
    "chat.stream.tools-required.include_usage": "chat.nonstream.tools-required",
    "chat.stream.think.tools-required": "chat.nonstream.think.tools-required",
    "chat.stream.logprobs": "chat.nonstream.logprobs",
    "chat.stream.json_schema": "chat.nonstream.json_schema",
    "chat.stream.max_tokens-0": "chat.nonstream.max_tokens-0",
    "chat.stream.stop-word": "chat.nonstream.stop-word",
    "chat.stream.reasoning_format-none": "chat.nonstream.reasoning_format-none",
}


def folded(stream: bytes) -> Any:
    """The answer, the same however the stream is cut."""
    fold = ChatFold("req_1")
    body = fold.open() + fold.feed(stream)
    body += b"" if fold.finished else fold.eof()
    assert fold.finished and not fold.started and fold.keep_alive() == b""
    for seed in range(3):
        again = ChatFold("req_1")
        pieces = [again.feed(piece) for piece in cuts(stream, seed)]
        pieces.append(b"" if again.finished else again.eof())
        assert b"".join(pieces) == body
    return orjson.loads(body)


def failed(stream: bytes, **options: Any) -> ProxyError:
    fold = ChatFold("req_1", **options)
    assert fold.feed(stream) + fold.eof() == b""
    assert fold.failure is not None and not fold.finished
    assert orjson.loads(fold.fail(fold.failure))["error"]["request_id"] == "req_1"
    return fold.failure


def lasting(answer: Any) -> Any:
    """Without what differs from run to run: ids, times, and what the cache held."""
    answer = orjson.loads(orjson.dumps(answer))
    answer["id"] = answer["created"] = 0
    answer["timings"] = list(answer["timings"])
    answer["usage"]["prompt_tokens_details"]["cached_tokens"] = 0
    for choice in answer["choices"]:
        for entry in choice["message"].get("tool_calls", ()):
            assert len(entry["id"]) == 32
            entry["id"] = ""
    return answer


def members(value: Any) -> Any:
    """The names of all members, in their order."""
    if isinstance(value, dict):
        return [(key, members(item)) for key, item in value.items()]
    return [members(item) for item in value] if isinstance(value, list) else None


@pytest.mark.parametrize("name", PAIRS)
def test_a_folded_stream_is_what_the_server_answers_without_streaming(name: str) -> None:
    ours = folded(recordings.body(name))
    theirs = orjson.loads(recordings.body(PAIRS[name]))
    assert lasting(ours) == lasting(theirs)
    assert members(ours) == members(theirs)
    timings, counts = ours["timings"], ours["usage"]
    assert counts["prompt_tokens"] == timings["cache_n"] + timings["prompt_n"]
    assert counts["completion_tokens"] == timings["predicted_n"]


def test_the_numbers_of_the_stream_are_kept_as_they_came() -> None:
    stream = recordings.body("chat.stream.include_usage")
    ours = folded(stream)
    last = orjson.loads(stream.split(b"data: ")[-2])
    assert ours["timings"] == last["timings"] and ours["usage"] == last["usage"]
    assert (ours["id"], ours["created"]) == (last["id"], last["created"])


def test_two_choices_are_told_in_order_with_the_first_ones_usage() -> None:
    ours = folded(recordings.body("chat.stream.n2.include_usage"))
    theirs = orjson.loads(recordings.body("chat.nonstream.n2"))
    assert members(ours) == members(theirs)
    contents = [choice["message"]["content"] for choice in ours["choices"]]
    assert contents == ["One server drops", "A slot routes"]
    assert [choice["index"] for choice in ours["choices"]] == [0, 1]
    assert ours["timings"]["prompt_ms"] == 3.484  # of index 0, whose usage comes last here


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_usage_follows_the_finish_of_its_choice(order: tuple[int, int]) -> None:
    stream = b""
    for index in order:
        for finish_reason in (None, "stop"):
            choice = {"index": index, "delta": {"content": "a"}, "finish_reason": finish_reason}
            stream += event({"choices": [choice]})
        stream += usage(output=index + 1)
    assert folded(stream + DONE)["usage"]["completion_tokens"] == 1


def test_a_call_of_the_second_choice_is_its_own() -> None:
    entry = fragment(0, "c0", "f", "{}")
    choice = {"index": 1, "delta": {"tool_calls": [entry]}, "finish_reason": "tool_calls"}
    first, second = folded(text("a") + finish() + event({"choices": [choice]}) + DONE)["choices"]
    assert "tool_calls" not in first["message"]
    assert second["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_a_choice_that_did_not_finish_is_a_failure() -> None:
    other = event({"choices": [{"index": 1, "delta": {"content": "a"}, "finish_reason": None}]})
    assert isinstance(failed(ROLE + other + finish() + DONE), BackendDied)


def test_progress_is_seen_and_not_told() -> None:
    fold = ChatFold("req_1")
    fold.feed(progress(100, 40, 60))
    assert fold.progress is not None and fold.progress.processed == 60
    answer = folded(progress(100, 40, 60) + text("a") + finish() + usage() + DONE)
    assert set(answer) == {"choices", "object", "usage"}


def test_usage_comes_from_the_timings_if_need_be() -> None:
    timings = {"cache_n": 6, "prompt_n": 4, "predicted_n": 1}
    assert folded(text("a") + finish(timings=timings) + DONE)["usage"] == {
        "completion_tokens": 1,
        "prompt_tokens": 10,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 6},
    }


def test_other_engines_members_are_kept() -> None:
    stream = chunk({"reasoning": "r", "content": "a"}, service_tier="x", id="chatcmpl-1")
    answer = folded(stream + finish() + usage() + DONE)
    assert answer["choices"][0]["message"] == {
        "role": "assistant",
        "content": "a",
        "reasoning": "r",
    }
    assert answer["service_tier"] == "x" and answer["id"] == "chatcmpl-1"


def test_an_answer_that_is_no_stream_is_handed_on() -> None:
    document = orjson.loads(recordings.body("chat.nonstream.logprobs"))
    assert folded(orjson.dumps(document)) == document


FAILURES: list[tuple[bytes, type[ProxyError]]] = [
    (ROLE + text("a"), BackendDied),
    (ROLE + text("a") + DONE, BackendDied),
    (ROLE + text("a") + ERROR, BackendError),
    (ERROR, BackendError),
    (b"", BackendDied),
    (b"data: {\n\n", BackendProtocolError),
]


@pytest.mark.parametrize(("stream", "kind"), FAILURES, ids=range(len(FAILURES)))
def test_a_failure_gives_no_answer(stream: bytes, kind: type[ProxyError]) -> None:
    assert isinstance(failed(stream), kind)


def test_the_answer_is_bounded() -> None:
    stream = b"".join(text("x" * 100) for _ in range(20))
    assert isinstance(failed(stream, max_answer_size=1000), BackendProtocolError)
    entry = {"token": "x" * 100}
    choice = {"index": 0, "delta": {"content": "x"}, "logprobs": {"content": [entry]}}
    stream = event({"choices": [choice]}) * 20
    assert isinstance(failed(stream, max_answer_size=1000), BackendProtocolError)


def test_logprobs_of_reasoning_are_kept_in_their_order() -> None:
    stream = b""
    for key, word in (("reasoning_content", "a"), ("content", "b"), ("content", "c")):
        choice = {"index": 0, "delta": {key: word}, "logprobs": {"content": [{"token": word}]}}
        stream += event({"choices": [choice]})
    (told,) = folded(stream + finish() + usage() + DONE)["choices"]
    assert told["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}, {"token": "c"}]}


def test_calls_and_reasoning_are_put_together() -> None:
    stream = reasoning("th") + reasoning("ink") + call(0, "c0", "f", '{"x":')
    stream += call(0, arguments="1}") + finish("tool_calls") + usage() + DONE
    (choice,) = folded(ROLE + stream)["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "think",
        "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": '{"x":1}'}, "id": "c0"}
        ],
    }
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("more", "can"),
    [
        ({}, True),
        ({"n": 2, "tools": [{}]}, True),
        ({"logprobs": True}, False),
        ({"n_probs": 2}, False),
        ({"logprobs": False, "top_logprobs": 0}, True),
        ({"verbose": True}, False),
        ({"messages": [{"role": "user"}, {"role": "assistant", "content": "x"}]}, False),
        ({"messages": "?"}, True),
    ],
)
def test_some_requests_cannot_be_folded(more: dict[str, Any], can: bool) -> None:
    assert can_fold({"messages": [{"role": "user", "content": "hi"}], **more}) is can


def test_the_request_asks_for_a_stream_with_usage_and_progress() -> None:
    body = {"model": "m", "stream_options": {"x": 1}}
    options = {"x": 1, "include_usage": True}
    folded_body = {"model": "m", "stream": True, "stream_options": options}
    assert folded_request(body, is_llama_cpp=False) == folded_body
    assert folded_request(body, is_llama_cpp=True) == folded_body | {"return_progress": True}
    assert body["stream_options"] == {"x": 1}
