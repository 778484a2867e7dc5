"""Streams that go out as they came: which bytes, from when on, and how they end."""

import re
from random import Random

import orjson
import pytest
from chat_notation import DONE, ERROR, ROLE, chunk, cuts, event, finish, progress, text, usage
from dialects.passing import passthrough, run
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import meaning, names, pieces_at_every_cut, stream

from multiproxy.dialects.events import Progress, Usage
from multiproxy.dialects.passthrough import KEEP_ALIVE
from multiproxy.errors import (
    Overloaded,
)

CHAT = [name for name in names("chat.stream*", "router.chat.stream") if meaning(name).complete]
COMPLETIONS = names("completions.v1.stream*")
NATIVE = names("completion.native.stream*")
PIECEMEAL = ["chat.stream.include_usage", "chat.stream.n2", *COMPLETIONS, *NATIVE]
WITHOUT_ROLE = [name for name in CHAT if b'"role"' not in stream(name)]


def test_the_recordings_are_there():
    assert len(CHAT) > 15 and len(COMPLETIONS) >= 2 and NATIVE
    assert "chat.stream.utf8.emoji.max_tokens-5" in WITHOUT_ROLE


# -- the same bytes --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CHAT, *COMPLETIONS, *NATIVE])
def test_a_recorded_stream_goes_out_byte_for_byte_wherever_it_is_cut(name):
    data = stream(name)
    whole = passthrough(name)
    expected = run([data], whole)
    assert expected.endswith(data)
    assert whole.finished and whole.failure is None
    assert (expected == data) is (name not in WITHOUT_ROLE)
    for pieces in pieces_at_every_cut(data, 1 if len(data) < 1500 else 41):
        translator = passthrough(name)
        assert run(pieces, translator) == expected
        assert (translator.finished, translator.usage) == (True, whole.usage)
        assert (translator.events, translator.finish_reason) == (whole.events, whole.finish_reason)
    assert run([data[i : i + 1] for i in range(len(data))], passthrough(name)) == expected


@pytest.mark.parametrize("name", WITHOUT_ROLE)
def test_a_chunk_with_the_role_is_put_before_the_first_one_without(name):
    data = stream(name)
    out = run([data], passthrough(name))
    added = out.removesuffix(data)
    assert added.startswith(b"data: ") and added.endswith(b"\n\n")
    role, first = orjson.loads(added[6:]), orjson.loads(data[6 : data.index(b"\n")])
    choice = role["choices"][0]
    assert choice["delta"] == {"role": "assistant", "content": ""}
    assert (choice["finish_reason"], choice["index"]) == (None, 0)
    assert {key: role[key] for key in ("id", "model", "created", "object")} == {
        key: first[key] for key in ("id", "model", "created", "object")
    }


def test_whole_events_go_out_as_the_very_object_that_came():
    translator = passthrough()
    for piece in (ROLE, text("a"), text("b") + text("c"), finish(), usage(), DONE):
        assert translator.feed(piece) is piece


def test_half_an_event_waits_for_its_other_half():
    translator = passthrough()
    translator.feed(ROLE)
    data = text("hello")
    assert translator.feed(data[:20]) == b""
    assert translator.feed(data[20:] + b": ping\n") == data
    assert translator.feed(b"\n") == b": ping\n\n"


@pytest.mark.parametrize("ending", [b"\r\n", b"\r"])
def test_other_line_ends_are_boundaries_too(ending):
    data = (ROLE + text("a") + finish() + DONE).replace(b"\n", ending)
    for pieces in pieces_at_every_cut(data):
        translator = passthrough()
        assert b"".join(map(translator.feed, pieces)) == data
        assert translator.finished


STREAM = st.lists(
    st.sampled_from(
        [ROLE, text("a"), text("caf\u00e9 \U0001f999"), text("[DONE] data: \n\n"), usage(),
         b": ping\n\n", b"data: null\n\n", progress(9, 3, 5), chunk({"tool_calls": [{"index": 0}]}),
         b"event: x\ndata: {}\n\n", finish(), finish("length"), DONE, ERROR,
         b"data: nonsense\n\n"]
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(STREAM, st.integers(0, 2**32))
def test_a_stream_goes_out_the_same_however_it_is_cut(events, seed):
    data = b"".join(events)
    one, other = passthrough(), passthrough()
    assert run([data], one) == run(cuts(data, seed), other)
    assert type(one.failure) is type(other.failure)
    assert (one.started, one.finished, one.usage) == (other.started, other.finished, other.usage)


DAMAGE = (
    b"",
    b"\n",
    b"\n\n",
    b"\0",
    b"\xff",
    b"{",
    b'"',
    b"data: ",
    b"[DONE]",
    b"null",
    b"1",
    b"[]",
)


@pytest.mark.parametrize("seed", range(10))
def test_no_mutation_of_a_stream_raises(seed):
    chance = Random(seed)
    events = {name: re.findall(rb"data: .*\n\n", stream(name)) for name in PIECEMEAL}
    for _ in range(1000):
        name = chance.choice(PIECEMEAL)
        # The first events and the last ones are looked at; those between are all alike.
        mutant = bytearray(b"".join(events[name][:2] + events[name][-3:]))
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(mutant))
            mutant[place : place + chance.choice((0, 1, 1, 7))] = chance.choice(DAMAGE)
        run([bytes(mutant)], passthrough(name))


@pytest.mark.parametrize("index", [[], {}, "0", None, True, -1, 1e9])
def test_an_index_may_be_anything(index):
    choice = {"finish_reason": "stop", "index": index, "delta": {"content": "a"}}
    assert run([event({"choices": [choice]})], passthrough()).endswith(DONE)


# -- the commit point ------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAT)
def test_a_stream_has_started_with_its_first_content(name):
    translator = passthrough(name)
    seen = b""
    for line in stream(name).split(b"\n\n"):
        assert not translator.started
        translator.feed(line + b"\n\n")
        seen = line
        if translator.started:
            break
    (choice,) = orjson.loads(seen[6:])["choices"]
    delta = choice["delta"]
    assert choice["finish_reason"] or any(
        delta.get(key) for key in ("content", "reasoning_content", "tool_calls")
    )


@pytest.mark.parametrize(
    "quiet", [ROLE, b": ping\n\n", b"data: null\n\n", progress(9, 3, 5), usage()]
)
def test_what_is_no_content_does_not_start_a_stream(quiet):
    translator = passthrough()
    assert translator.feed(quiet) == quiet
    assert not translator.started


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"reasoning_content": "a"},
        {"reasoning": "a"},
        {"refusal": "a"},
        {"tool_calls": [{"index": 0}]},
    ],
)
def test_every_kind_of_content_starts_a_stream(delta):
    translator = passthrough()
    translator.feed(chunk(delta))
    assert (translator.started, translator.events) == (True, 1)


def test_progress_is_told():
    translator = passthrough()
    translator.feed(progress(90, 30, 50))
    assert translator.progress == Progress(90, 30, 50)


# -- counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAT)
def test_usage_is_what_the_last_counts_say(name):
    translator = passthrough(name)
    run([stream(name)], translator)
    events = [orjson.loads(line[6:]) for line in stream(name).split(b"\n\n") if line[6:7] == b"{"]
    if timings := [each["timings"] for each in events if "timings" in each]:
        last = timings[-1]
        prompt, output = last["cache_n"] + last["prompt_n"], last["predicted_n"]
        assert translator.usage == Usage(prompt, last["cache_n"], output)
        assert translator.usage.timings == last


def test_usage_wins_over_timings_and_brings_cached_tokens():
    translator = passthrough()
    timings = {"cache_n": 3, "prompt_n": 4, "predicted_n": 5}
    run([text("a"), finish(timings=timings), usage(10, 6, 4), DONE], translator)
    assert translator.usage == Usage(10, 6, 4)


def test_usage_beside_content_is_read():
    translator = passthrough()
    counts = {"prompt_tokens": 10, "completion_tokens": 2}
    run([text("a"), chunk({"content": "b"}, usage=counts)], translator)
    assert translator.usage == Usage(10, 0, 2)


def test_content_events_are_counted():
    translator = passthrough()
    run([ROLE, text("a"), text("b") + text("c"), finish(), usage(), DONE], translator)
    assert translator.events == 3


def test_a_whole_answer_is_read_for_its_counts():
    translator = passthrough()
    translator.read_answer(meaning("chat.nonstream").payload)
    assert translator.usage is not None
    assert (translator.usage.output > 0, translator.finish_reason) == (True, "stop")
    for body in (b"", b"{", b'["usage"]', b'{"usage":1}', b'{"usage":{"prompt_tokens":-1}}'):
        passthrough().read_answer(body)


# -- our own words ---------------------------------------------------------------------------


def test_a_sign_of_life_is_a_comment():
    assert passthrough().keep_alive() == KEEP_ALIVE == b": keep-alive\n\n"
    assert passthrough().open() == b""


def test_a_failure_is_one_event_without_done():
    told = passthrough().fail(Overloaded("Later."))
    assert told.startswith(b"data: ") and told.endswith(b"\n\n") and told.count(b"\n\n") == 1
    error = orjson.loads(told[6:])["error"]
    assert (error["message"], error["code"], error["request_id"]) == (
        "Later.", "overloaded", "req_1",
    )  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.text(alphabet='ab"\\\n\r{}é🦙', max_size=6), min_size=2, max_size=12),
    st.sampled_from(["content", "reasoning_content"]),
)
def test_an_event_that_repeats_the_last_one_is_treated_as_if_it_were_parsed(texts, key):
    """The short cut for deltas changes neither a byte nor a count."""
    pieces = [ROLE] + [text("x").replace(b'"x"', orjson.dumps(t)).replace(b"content", key.encode())
                       for t in texts]  # fmt: skip
    quick, slow = passthrough(), passthrough()
    slow._learn = lambda piece, events: None
    assert run(pieces, quick) == run(pieces, slow)
    assert (quick.events, quick.started) == (slow.events, slow.started)
