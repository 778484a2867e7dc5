"""Whatever a backend sends, the Responses stream that comes of it is legal."""

import json
from random import Random
from typing import Any

import chat_notation as chat
import orjson
import pytest
from dialects.drawn_streams import chunks, endings, mutations, texts
from dialects.responses_grammar import Told, check
from dialects.responses_run import emitter, fold, normalised, turn
from dialects.running import run
from hypothesis import given, settings
from hypothesis import strategies as st

TOOLS = [
    {"type": "function", "name": "f"},
    {"type": "custom", "name": "patch"},
    {"type": "shell"},
    {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "member"}]},
]
TURNS = [
    turn(tools=TOOLS),
    turn(tools=TOOLS, reasoning={"summary": "auto"}, include=["reasoning.encrypted_content"]),
    turn(tools=TOOLS, parallel_tool_calls=False),
]

events = chunks(
    texts,
    ids=["c0", "c1", "c2"],
    names=["", "f", "patch", "shell", "ns__member", "member", "unknown"],
    letters='{}[]":,\\ainpu123',
    arguments=['{"input":"', 'a\\n"}', "{}", '{"commands":["ls"]}', '{"x":{', "}}", ""],
)


def told_text(answer: Told, kind: str) -> str:
    """All text of the message parts of one type."""
    return "".join(
        part.get("text", part.get("refusal"))
        for item in answer.output
        if item["type"] == "message"
        for part in item["content"]
        if part["type"] == kind
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(events, max_size=12), endings, st.integers(0, 2), st.integers(0, 1 << 16))
def test_legal_chunks_give_a_legal_stream(
    body: list[bytes], ending: bytes, which: int, seed: int
) -> None:
    a_turn = TURNS[which]
    stream = b"".join(body) + ending
    whole = run(emitter(a_turn), [stream])
    assert run(emitter(a_turn), chat.cuts(stream, seed)) == whole
    answer = check(whole)
    if answer.end["status"] != "failed":
        folded = orjson.loads(run(fold(a_turn), [stream]))
        assert normalised(folded) == normalised(answer.end)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.builds(lambda t: ("text", t), texts),
                          st.builds(lambda t: ("refusal", t), texts)), max_size=10))  # fmt: skip
def test_no_word_of_a_message_is_lost(said: list[tuple[str, str]]) -> None:
    stream = b"".join(getattr(chat, kind)(piece) for kind, piece in said)
    answer = check(run(emitter(), [chat.ROLE + stream + chat.finish() + chat.DONE]))
    expected = "".join(piece for kind, piece in said if kind == "text")
    told = told_text(answer, "output_text")
    # White space that nothing follows but a refusal or the end is no text.
    assert told == expected or told.strip() == expected.strip()
    refusals = "".join(piece for kind, piece in said if kind == "refusal")
    assert told_text(answer, "refusal") == refusals


def called(name: str, arguments: str, random: Random) -> Told:
    """What is told of a call whose arguments came in pieces."""
    stream = chat.ROLE + chat.call(0, "c0", name, "")
    position = 0
    while position < len(arguments):
        size = random.randint(1, 5)
        stream += chat.call(0, arguments=arguments[position : position + size])
        position += size
    return check(run(emitter(TURNS[0]), [stream + chat.finish("tool_calls") + chat.DONE]))


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(texts, st.one_of(texts, st.integers(-9, 9), st.booleans()), max_size=4),
       st.integers(0, 1 << 16))  # fmt: skip
def test_arguments_come_through_whole_however_they_are_cut(
    value: dict[str, Any], seed: int
) -> None:
    raw = orjson.dumps(value).decode()
    answer = called("f", raw, Random(seed))
    assert orjson.loads(answer.output[0]["arguments"]) == value


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20), st.booleans(), st.integers(0, 1 << 16))
def test_a_custom_input_comes_through_whole_however_it_is_cut(
    words: str, ascii_only: bool, seed: int
) -> None:
    raw = json.dumps({"input": words}, ensure_ascii=ascii_only)
    answer = called("patch", raw, Random(seed))
    assert answer.output[0]["input"] == answer.deltas(0) == words


@pytest.mark.parametrize("seed", range(8))
def test_mutated_streams_never_raise_and_never_give_an_illegal_stream(seed: int) -> None:
    random = Random(seed)
    for stream in mutations(random, 60):
        a_turn = random.choice(TURNS)
        whole = run(emitter(a_turn), chat.cuts(stream, random.randrange(1 << 16)))
        assert run(emitter(a_turn), [stream]) == whole
        answer = check(whole)
        if answer.end["status"] != "failed":
            orjson.loads(run(fold(a_turn), [stream]))
