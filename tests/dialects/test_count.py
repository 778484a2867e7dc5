"""Token counts: an engine's own, and estimates."""

from typing import Any

import pytest

from multiproxy.dialects.count import (
    TokenRatio,
    counting_body,
    estimate_prompt,
    messages_count,
    read_count,
    read_prompt,
    responses_count,
    tokenizing_body,
    vllm_tokenizing_body,
)
from multiproxy.dialects.messages_request import translate
from multiproxy.dialects.policy import Policy
from multiproxy.errors import BackendProtocolError

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def test_an_estimate_counts_bytes_messages_and_images() -> None:
    assert estimate_prompt(body({"role": "user", "content": "x" * 360})) == 100 + 8
    parts = [{"type": "text", "text": "é" * 180}, IMAGE]
    assert estimate_prompt(body({"role": "user", "content": parts})) == 100 + 8 + 800
    call = {"function": {"name": "f" * 36, "arguments": "y" * 36}}
    said = {"role": "assistant", "content": "", "reasoning_content": "z" * 36, "tool_calls": [call]}
    assert estimate_prompt(body(said)) == 30 + 8
    assert estimate_prompt(body(tools=[{"a": "x" * 350}])) == 100
    assert estimate_prompt({}) == 0


def test_the_ratio_follows_what_an_engine_counts() -> None:
    ratio = TokenRatio()
    request = body({"role": "user", "content": "x" * 1000})
    for _ in range(100):
        ratio.learn(request, 508)
    assert ratio.bytes_per_token == pytest.approx(2.0, abs=0.01)
    ratio.learn(request, 3)
    ratio.learn({}, 10)
    assert ratio.bytes_per_token == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (b'{"input_tokens":14,"object":"response.input_tokens"}', 14),
        (b'{"count":14,"tokens":[1]}', 14),
        (b'{"tokens":[1,2,3]}', 3),
    ],
)
def test_an_engines_count_is_read(answer: bytes, count: int) -> None:
    assert read_count(answer) == count


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"input_tokens":"x"}', b"[1]"])
def test_an_answer_without_a_count_is_a_failure(answer: bytes) -> None:
    with pytest.raises(BackendProtocolError):
        read_count(answer)


def test_older_builds_are_asked_for_the_prompt_and_then_for_its_tokens() -> None:
    assert read_prompt(b'{"prompt":"<s>hi"}') == "<s>hi"
    assert tokenizing_body("<s>hi") == {
        "content": "<s>hi",
        "add_special": True,
        "parse_special": True,
    }
    for answer in (b"", b"[]", b'{"prompt":5}'):
        with pytest.raises(BackendProtocolError):
            read_prompt(answer)


def test_vllm_is_asked_with_the_messages_themselves() -> None:
    request = body({"role": "user", "content": "hi"}, model="m", stream=True)
    assert vllm_tokenizing_body(request) == {
        "model": "m",
        "messages": request["messages"],
        "add_generation_prompt": True,
    }


def test_what_is_counted_is_what_would_be_generated() -> None:
    request = {"messages": [{"role": "user", "content": "hi"}], "model": "m"}
    chat = translate(request, Policy()).body
    counted = counting_body(chat)
    assert counted["messages"] == chat["messages"] and "stream" not in counted
    assert set(chat) - set(counted) == {
        "stream",
        "stream_options",
        "return_progress",
        "verbose",
        "response_fields",
    }


def test_each_dialect_has_its_own_answer() -> None:
    assert messages_count(7) == b'{"input_tokens":7}'
    assert responses_count(7) == b'{"object":"response.input_tokens","input_tokens":7}'
