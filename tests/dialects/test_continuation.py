"""The journal of a stream that may break off, and the request that continues it."""

import orjson
import pytest
from chat_notation import DONE, ERROR, ROLE, call, finish, reasoning, refusal, text, usage

from multiproxy.dialects.continuation import (
    MAX_RUN,
    Journal,
    Spoken,
    can_continue,
    continued_request,
)
from multiproxy.dialects.events import Progress

HEAD = {"id": "chatcmpl-1", "model": "demo", "created": 1795396733}
MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": "demo", "messages": MESSAGES, "stream": True}


def with_head(event: bytes, **more: object) -> bytes:
    return b"data: " + orjson.dumps({**orjson.loads(event[6:]), **HEAD, **more}) + b"\n\n"


def told(said: str, **more: object) -> bytes:
    return with_head(text(said), **more)


def heard(*pieces: bytes, max_size: int = 1 << 20) -> Spoken | None:
    journal = Journal(max_size)
    for piece in pieces:
        journal.add(piece)
    return journal.spoken(3, None)


ANSWER = [
    with_head(ROLE),
    *(with_head(reasoning(piece)) for piece in ("I ", "must\n", 'say "', "hi")),
    *(told(piece) for piece in ("H", "e\\", "llo", ' "', "wörld", "🙂\n\n", '"}}],')),
]
REASONING, TEXT = 'I must\nsay "hi', 'He\\llo "wörld🙂\n\n"}}],'


def test_what_was_said_is_known_wherever_the_stream_is_cut():
    stream = b"".join(ANSWER)
    for cut in range(0, len(stream) + 1, 7):
        whole = stream[:cut].count(b"\n\n")
        pieces = (stream[:cut], stream[cut:]) if cut % 2 else (stream[:cut],)
        said = heard(*pieces)
        expected = heard(*(ANSWER if cut % 2 else ANSWER[:whole]))
        assert said == expected
    assert expected is not None or not whole


@pytest.mark.parametrize("size", [1, 3, 100, 1 << 20])
def test_the_pieces_may_be_of_any_size(size):
    stream = b"".join(ANSWER)
    said = heard(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert said == Spoken(TEXT, REASONING, 4, None, HEAD)


def test_half_an_event_was_not_said():
    said = heard(told("a"), told("b")[:-1])
    assert said is not None and said.content == "a"


@pytest.mark.parametrize("size", [None, 700])
def test_a_long_answer_takes_little_room(size):
    second = [told(f"word{number} ", created=number // 40) for number in range(20_000)]
    stream = b"".join(second)
    pieces = second if size is None else [
        stream[at : at + size] for at in range(0, len(stream), size)
    ]  # fmt: skip
    journal = Journal(500_000)
    for piece in pieces:
        journal.add(piece)
    said = journal.spoken(20_000, None)
    assert said is not None
    assert said.content == "".join(f"word{number} " for number in range(20_000))


def test_a_run_of_repeated_deltas_may_be_put_there_at_once():
    journal = Journal()
    journal.add(told("a"))
    first = told("b")
    journal.add(first)
    head, _, tail = first.partition(b'b"}')
    run = journal.run_of(head, b'"}' + tail)
    assert run is not None and journal.run_of(head, b"another") is None
    run += [told("c")] * MAX_RUN
    journal.add(told("d", created=1))
    said = journal.spoken(1, None)
    assert said is not None and said.content == "ab" + "c" * MAX_RUN + "d"


@pytest.mark.parametrize("said", ["x" * 70_000, "a\n" * 40_000, 'say "' * 20_000])
def test_a_longer_answer_than_the_journal_holds_is_not_continued(said):
    pieces = [told(said[at : at + 100]) for at in range(0, len(said), 100)]
    assert heard(*pieces, max_size=65_536) is None
    assert heard(*pieces) is not None


NOT = {
    "nothing": (),
    "only a role": (with_head(ROLE),),
    "a tool call": (told("a"), with_head(call(0, "c0", "f", "{"))),
    "a refusal": (with_head(refusal("no")),),
    "the end": (told("a"), with_head(finish())),
    "thinking behind text": (told("a"), with_head(reasoning("b"))),
    "nobody's": (text("a"),),
}


@pytest.mark.parametrize("name", NOT)
def test_what_cannot_be_continued(name):
    assert heard(*NOT[name]) is None


def test_what_comes_before_an_error_was_said():
    said = heard(told("a"), told("b"), ERROR)
    assert said is not None and said.content == "ab"


def test_choices_that_look_like_one_delta_are_not_taken_for_it():
    both = told("a").replace(b'"a"}}]', b'"a"}},{"index":1,"delta":{"content":"b"}}]')
    said = heard(told("x"), both, both, told("y"))
    assert said is None or said.content == "xaay"


# -- the request ----------------------------------------------------------------------------


def test_the_last_message_is_the_text_so_far():
    tool = {"type": "function", "function": {"name": "f"}}
    chat = CHAT | {"tools": [tool], "max_tokens": 10, "temperature": 0}
    assert continued_request(chat, Spoken("He", "I must", 4)) == {
        **chat,
        "messages": [
            *MESSAGES,
            {"role": "assistant", "content": "He", "reasoning_content": "I must"},
        ],
        "return_progress": True,
        "continue_final_message": True,
        "add_generation_prompt": False,
        "max_tokens": 6,
    }
    assert chat["messages"] == MESSAGES


def test_open_thinking_is_continued_as_such():
    chat = CHAT | {"thinking_budget_tokens": 100}
    rest = continued_request(chat, Spoken("", "I must", 4))
    assert rest is not None
    assert rest["messages"][-1]["content"] == ""
    assert rest["thinking_budget_tokens"] == 100  # the engine counts what is continued, too
    assert "reasoning_content" not in (continued_request(chat, Spoken("a", "", 4)) or {})


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n_predict"])
def test_a_limit_counts_what_was_said(name):
    assert continued_request(CHAT | {name: 4}, Spoken("He", "", 4)) is None
    assert (continued_request(CHAT | {name: 5}, Spoken("He", "", 4)) or {})[name] == 1
    assert (continued_request(CHAT | {name: -1}, Spoken("He", "", 4)) or {})[name] == -1


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"logprobs": True},
        {"top_logprobs": 2},
        {"n_probs": 2},
        {"grammar": "root ::= [a-z]"},
        {"continue_final_message": True},
        {"add_generation_prompt": False},
        {"reasoning_format": "none"},
        {"verbose": True},
        {"messages": [*MESSAGES, {"role": "assistant", "content": "He"}]},
        {"messages": "hi"},
        {"messages": []},
    ],
)
def test_requests_whose_answer_cannot_be_continued(more):
    assert can_continue(CHAT)
    assert not can_continue(CHAT | more)


def test_thinking_that_ended_counts_one_token_more():
    journal = Journal()
    for piece in ANSWER:
        journal.add(piece)
    said = journal.spoken(11, Progress(7, 2, 7))
    assert said is not None
    assert (said.tokens, said.prompt) == (12, Progress(7, 2, 7))
    assert usage() and DONE
