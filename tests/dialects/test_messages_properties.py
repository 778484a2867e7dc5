"""Whatever a backend sends, the Messages stream that comes of it is legal."""

from random import Random
from typing import Any

import chat_notation as chat
import orjson
import pytest
from dialects.drawn_streams import chunks, endings, mutations, texts
from dialects.messages_grammar import check
from dialects.messages_run import emitter, fold
from dialects.running import run
from hypothesis import given, settings
from hypothesis import strategies as st

from multiproxy.dialects.arguments import ObjectScanner
from multiproxy.dialects.messages_turn import MessagesTurn

TURNS = [
    MessagesTurn("demo", shows_thinking=True),
    MessagesTurn("demo", one_call_only=True, stop_sequences=("x",), taken_ids=frozenset(["c0"])),
    MessagesTurn("demo", discards_output=True),
]

events = chunks(
    st.one_of(texts, st.sampled_from(["\n\n", " ", "\t"])),
    ids=["c0", "c1", "functions.f:0"],
    names=["", "f", "get", "get_weather"],
    letters='{}[]":,\\aux123 ',
    arguments=["{}", '{"x":{', "}}", "", '{"x":"\\"}"}'],
)


def parsed(arguments: str) -> Any:
    try:
        value = orjson.loads(arguments) if arguments.strip(" \t\r\n") else {}
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"__unparsed_arguments": arguments}


def is_closed(arguments: str) -> bool:
    scanner = ObjectScanner()
    scanner.feed(arguments)
    return scanner.is_complete


@settings(max_examples=250, deadline=None)
@given(st.lists(events, max_size=12), endings, st.integers(0, 2), st.integers(0, 1 << 16))
def test_legal_chunks_give_a_legal_stream_and_the_same_message(
    body: list[bytes], ending: bytes, which: int, seed: int
) -> None:
    turn = TURNS[which]
    stream = b"".join(body) + ending
    whole = run(emitter(turn), [stream])
    assert run(emitter(turn), chat.cuts(stream, seed)) == whole
    answer = check(whole)
    assert answer.is_over
    folded = orjson.loads(run(fold(turn), [stream]))
    if answer.error is not None:
        assert folded["error"] == answer.error
    else:
        content = []
        for block in answer.blocks:
            if block["type"] == "tool_use":
                if answer.stop_reason == "max_tokens" and not is_closed(block["input"]):
                    continue  # half a call is no call
                block["input"] = parsed(block["input"])
            content.append(block)
        assert folded["content"] == content
        assert folded["usage"] == answer.usage and folded["stop_reason"] == answer.stop_reason


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, max_size=10))
def test_no_word_is_lost(pieces: list[str]) -> None:
    stream = chat.ROLE + b"".join(map(chat.text, pieces)) + chat.finish() + chat.DONE
    said = "".join(block["text"] for block in check(run(emitter(), [stream])).blocks)
    expected = "".join(pieces)
    assert said == (expected if expected.strip() else "")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            texts, st.one_of(texts, st.integers(-(2**63), 2**63), st.booleans()), max_size=4
        ),
        max_size=3,
    ),
    st.integers(0, 1 << 16),
)
def test_interleaved_arguments_come_through_whole(inputs: list[Any], seed: int) -> None:
    random = Random(seed)
    rest = {index: orjson.dumps(value).decode() for index, value in enumerate(inputs)}
    stream = chat.ROLE + b"".join(chat.call(index, f"c{index}", "f", "") for index in rest)
    while rest:
        index = random.choice(list(rest))
        size = random.randint(1, 9)
        stream += chat.call(index, arguments=rest[index][:size])
        rest[index] = rest[index][size:]
        if not rest[index]:
            del rest[index]
    answer = check(run(emitter(), [stream + chat.finish("tool_calls") + chat.DONE]))
    assert [orjson.loads(block["input"]) for block in answer.blocks] == inputs
    assert [block["id"] for block in answer.blocks] == [f"c{i}" for i in range(len(inputs))]


@pytest.mark.parametrize("seed", range(8))
def test_mutated_streams_never_raise_and_never_give_an_illegal_stream(seed: int) -> None:
    random = Random(seed)
    for stream in mutations(random, 60):
        turn = random.choice(TURNS)
        whole = run(emitter(turn), chat.cuts(stream, random.randrange(1 << 16)))
        assert run(emitter(turn), [stream]) == whole
        assert check(whole).is_over
        orjson.loads(run(fold(turn), [stream]))
