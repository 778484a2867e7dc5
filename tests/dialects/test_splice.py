"""A stream that is another one's rest: no seam in Chat, Messages and Responses."""

import json
from collections.abc import Callable

import orjson
import pytest
from chat_notation import DONE, ERROR, ROLE, finish, reasoning, text, usage
from dialects import messages_run, responses_run
from dialects.messages_grammar import check as check_messages
from dialects.responses_grammar import check as check_responses

from multiproxy.dialects.continuation import Journal, Spoken
from multiproxy.dialects.events import Progress, Usage
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.dialects.splice import Splice
from multiproxy.dialects.translator import Translator
from multiproxy.errors import BackendDied

FIRST = {"id": "chatcmpl-1", "model": "demo", "created": 1, "system_fingerprint": "b1"}
OTHER = {"id": "chatcmpl-2", "model": "demo-q4", "created": 9, "system_fingerprint": "b2"}
LONG = "This text is longer than any word."


def of(members: dict[str, object], *events: bytes) -> list[bytes]:
    """The events with the members that every chunk of one answer has."""
    return [
        each if each == DONE
        else b"data: " + orjson.dumps({**orjson.loads(each[6:]), **members}) + b"\n\n"
        for each in events
    ]  # fmt: skip


def spliced(spoken: Spoken, *events: bytes) -> list[dict[str, object]]:
    """The chunks that come of a second backend's stream, fed byte by byte."""
    splice = Splice(spoken)
    data = b"".join(events)
    out = b"".join(splice.feed(data[at : at + 1]) for at in range(len(data)))
    return [json.loads(event[6:]) for event in out.split(b"\n\n") if event.startswith(b"data: {")]


SAID = Spoken("He", "", 2, Progress(10, 4, 10), FIRST)


def test_the_first_answers_ids_go_on_without_a_second_role():
    chunks = spliced(SAID, *of(OTHER, ROLE, text("llo"), finish(), DONE))
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [{"content": "llo"}, {}]
    assert all(chunk.items() >= FIRST.items() for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_role_beside_a_text_is_taken_out():
    both = text("llo").replace(b'{"content"', b'{"role":"assistant","content"')
    assert spliced(SAID, *of(OTHER, both))[0]["choices"][0]["delta"] == {"content": "llo"}


def test_progress_is_a_sign_of_life_and_not_told():
    splice = Splice(SAID)
    progress = {"total": 12, "cache": 2, "processed": 12, "time_ms": 1}
    assert splice.feed(b"".join(of({**OTHER, "prompt_progress": progress}, ROLE))) == b""
    assert splice.progress == Progress(12, 2, 12)


def test_a_known_prefix_that_is_echoed_is_cut():
    said = Spoken(LONG, LONG, 9, None, FIRST)
    echoed = of(OTHER, reasoning(LONG + "\n"), text(LONG + " More."), text(LONG))
    deltas = [chunk["choices"][0]["delta"] for chunk in spliced(said, *echoed)]
    assert deltas == [{"content": " More."}, {"content": LONG}]


def test_a_word_that_comes_twice_is_no_echo():
    said = Spoken("ha", "", 1, None, FIRST)
    [chunk] = spliced(said, *of(OTHER, text("haha")))
    assert chunk["choices"][0]["delta"] == {"content": "haha"}


def test_counts_are_those_of_the_whole_answer():
    counted = usage(prompt=12, output=5)
    [chunk] = spliced(SAID, *of(OTHER, counted))
    told = chunk["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (10, 7, 17)
    assert told["prompt_tokens_details"]["cached_tokens"] == 4
    blind = Spoken("He", "", 2, None, FIRST)
    [chunk] = spliced(blind, *of(OTHER, counted))
    assert chunk["usage"]["prompt_tokens"] == 10


def test_timings_are_of_the_whole_answer_at_the_last_parts_speed():
    timings = {
        "cache_n": 2, "prompt_n": 10, "prompt_ms": 20.0, "prompt_per_token_ms": 2.0,
        "predicted_n": 5, "predicted_ms": 15.0, "predicted_per_token_ms": 3.0,
        "predicted_per_second": 333.3,
    }  # fmt: skip
    [chunk] = spliced(SAID, *of({**OTHER, "timings": timings}, finish()))
    assert chunk["timings"] == {
        "cache_n": 4, "prompt_n": 6, "prompt_ms": 12.0, "prompt_per_token_ms": 2.0,
        "predicted_n": 7, "predicted_ms": 21.0, "predicted_per_token_ms": 3.0,
        "predicted_per_second": 333.3,
    }  # fmt: skip


@pytest.mark.parametrize("odd", [b"data: {nonsense\n\n", ERROR, b"error: boom\n\n", b"data: 1\n\n"])
def test_what_is_no_chunk_passes_to_whoever_judges_it(odd):
    translator = Passthrough("req_1")
    translator.feed(b"".join(of(FIRST, ROLE, text("He"))))
    translator.go_on()
    translator.feed(Splice(SAID).feed(odd))
    assert translator.failure is not None


# -- every cut position, in three dialects --------------------------------------------------

EVENTS = [
    ROLE,
    *(reasoning(piece) for piece in ("I ", "must ", 'say "', "hi")),
    *(text(piece) for piece in ("\n\n", "He", "llo ", '"wör', "ld🙂")),
]
WHOLE = of(FIRST, *EVENTS, finish(), usage(prompt=7, output=11), DONE)


def chat() -> Passthrough:
    return Passthrough("req_1", needs_role=True)


def seen_by_chat(data: bytes) -> object:
    chunks = [json.loads(event[6:]) for event in data.split(b"\n\n")[:-2]]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-1"}
    assert data.endswith(DONE) and data.count(DONE) == 1
    assert sum("role" in delta for delta in deltas) == 1
    return (
        "".join(delta.get("reasoning_content") or "" for delta in deltas),
        "".join(delta.get("content") or "" for delta in deltas),
        [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-1],
        chunks[-1]["usage"],
    )


def seen_by_messages(data: bytes) -> object:
    told = check_messages(data)
    return told.start, told.blocks, told.end


def seen_by_responses(data: bytes) -> object:
    return check_responses(data).end


DIALECTS: dict[str, tuple[Callable[[], Translator], Callable[[bytes], object]]] = {
    "chat": (chat, seen_by_chat),
    "messages": (messages_run.emitter, seen_by_messages),
    "responses": (responses_run.emitter, seen_by_responses),
}


def rest_of(spoken: Spoken, tokens: int) -> list[bytes]:
    """What an engine says behind ``spoken``: the whole answer without what is known."""
    left = {"reasoning_content": len(spoken.reasoning), "content": len(spoken.content)}
    events = [ROLE]
    for event in EVENTS[1:]:
        [(name, piece)] = json.loads(event[6:])["choices"][0]["delta"].items()
        if spoken.content and name == "reasoning_content":
            continue
        cut, left[name] = min(left[name], len(piece)), max(0, left[name] - len(piece))
        if piece[cut:]:
            events.append((reasoning if name == "reasoning_content" else text)(piece[cut:]))
    counts = usage(prompt=7 + spoken.tokens, output=11 - tokens)
    return of(OTHER, *events, finish(), counts, DONE)


def given(translator: Translator, pieces: list[bytes]) -> bytes:
    """What a client gets as soon as it may."""
    out = b""
    for piece in pieces:
        data = translator.feed(piece)
        if translator.started:
            out += translator.open()
        out += data
    return out


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_client_sees_no_seam_wherever_the_first_backend_dies(dialect):
    make, seen = DIALECTS[dialect]
    expected = seen(given(make(), WHOLE))
    stream = b"".join(WHOLE[: len(EVENTS)])
    continued = 0
    for cut in range(0, len(stream) + 1, 3):
        translator = make()
        translator.journal = journal = Journal()
        out = given(translator, [stream[:cut]])
        spoken = journal.spoken(translator.events, None)
        if spoken is None or not translator.started:
            continue
        continued += 1
        translator.go_on()
        splice = Splice(spoken)
        rest = b"".join(rest_of(spoken, spoken.tokens))
        pieces = [rest[at : at + 50] for at in range(0, len(rest), 50)]
        out += given(translator, [splice.feed(piece) for piece in pieces])
        out += translator.eof()
        assert translator.finished and translator.failure is None
        assert seen(out) == expected
        assert translator.usage == Usage(7, 6, 11)
    assert continued > len(stream) // 6


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_second_death_is_told_in_the_dialect(dialect):
    make, _ = DIALECTS[dialect]
    translator = make()
    given(translator, of(FIRST, ROLE, text("He")))
    translator.go_on()
    given(translator, [Splice(SAID).feed(b"".join(of(OTHER, ROLE, text("llo"))))])
    translator.eof()
    assert isinstance(translator.failure, BackendDied)
    assert b"error" in translator.fail(translator.failure)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_piece_of_a_long_stream_is_remembered(dialect):
    # Deltas that differ in nothing but their text take a Chat relay's short cut.
    make, _ = DIALECTS[dialect]
    translator = make()
    translator.journal = journal = Journal()
    pieces = [f'word {number} "\\' if number % 50 == 7 else f"w{number} " for number in range(900)]
    given(translator, of(FIRST, ROLE))
    for number, piece in enumerate(pieces):
        given(translator, of({**FIRST, "created": number // 300}, text(piece)))
    spoken = journal.spoken(translator.events, None)
    assert spoken is not None
    assert (spoken.content, spoken.tokens) == ("".join(pieces), 900)
