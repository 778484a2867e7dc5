"""What of a request stays equal from turn to turn."""

import pytest

from multiproxy.dialects.prefix import LAST, MAX_SESSION, PIECE, blocks_of, holds_media, prefix_of

HI = {"role": "user", "content": "hi"}
BILLING = "x-anthropic-billing-header: cc_version=2.1.36; cch={};"


def cut(data, size=0, **headers):
    fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return prefix_of(fields.get, data, size)


def blocks(prefix):
    """Head and turns, as far as they are told apart."""
    return [prefix.head, *([prefix.first] if prefix.turns else []), *prefix.last]


def test_a_longer_conversation_begins_with_the_shorter_ones_blocks():
    turns = [{"role": "system", "content": "be kind"}, HI, {"role": "assistant", "content": "ho"}]
    short, long = cut({"messages": turns[:2]}), cut({"messages": turns, "temperature": 1})
    assert blocks(short) == [b"be kind", b'{"role":"user","content":"hi"}']
    assert blocks(long)[:2] == blocks(short) and len(blocks(long)) == 3


def test_blocks_are_what_a_backend_reads():
    marked = HI | {"cache_control": {"type": "ephemeral"}}
    tool = {"name": "read", "input_schema": {"type": "object"}}
    system = [{"type": "text", "text": BILLING.format(1)}, {"type": "text", "text": "kind"}]
    found = blocks_of({"system": system, "messages": [marked, HI], "tools": [tool]})
    hi = b'{"role":"user","content":"hi"}'
    tools = b'[{"name":"read","input_schema":{"type":"object"}}]'
    assert found == [b"kind", tools, hi, hi]
    assert blocks_of({"instructions": "Today's date is 1", "input": "hi"}) == [
        b"Today's date is 1", b"[]", b'"hi"',
    ]  # fmt: skip


def test_the_head_is_system_and_tools_in_every_dialect():
    tools = [
        {"type": "function", "function": {"name": "read"}},
        {"name": "write", "input_schema": {}},
        {"type": "web_search"},
    ]
    chat = [{"role": "system", "content": "s"}, {"role": "developer", "content": "d"}, HI]
    assert cut({"messages": chat, "tools": tools}).head == b"s\0d\0read\0write\0web_search"
    messages = {"system": [{"type": "text", "text": "s"}], "messages": [HI], "tools": tools[1:2]}
    assert cut(messages).head == b"s\0write"
    assert blocks(cut({"instructions": "s", "input": "hi"})) == [b"s", b'"hi"']
    assert cut({"instructions": "s", "input": [HI]}).head == b"s"


@pytest.mark.parametrize(
    "system",
    [
        lambda nonce: BILLING.format(nonce) + "\nbe kind",
        lambda nonce: [
            {"type": "text", "text": BILLING.format(nonce)},
            {"type": "text", "text": "be kind"},
        ],
    ],
)
def test_the_billing_line_does_not_count(system):
    first, second = (cut({"system": system(nonce), "messages": [HI]}) for nonce in ("a1b2c", "d3"))
    assert blocks(first) == blocks(second)
    assert first.head == b"be kind"
    chat = {"messages": [{"role": "system", "content": system("xyz")}, HI]}
    assert blocks(cut(chat)) == blocks(first)


@pytest.mark.parametrize(
    "words",
    ["Today's date: {}", "Current date and time: {}", "<env>\ncurrent time is {}\n</env>"],
)
def test_the_date_does_not_count_and_what_follows_it_does(words):
    def heads(rest):
        return [
            cut({"system": words.format(date) + "\n" + rest, "messages": []}).head
            for date in ("2026-11-23", "Tuesday, 24 November 2026 at 08:00")
        ]

    first, second = heads("be kind")
    assert first == second and b"be kind" in first
    assert heads("be rude")[0] != first


def test_marks_of_what_to_cache_move_and_do_not_count():
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    text = {"type": "text", "text": 'say "cache_control":{} aloud'}
    plain = cut({"messages": [{"role": "user", "content": [text]}]})
    for part in ({**text, **mark}, {**text, "cache_control": None}):
        assert cut({"messages": [{"role": "user", "content": [part]}]}).first == plain.first
    assert b"aloud" in plain.first


def test_a_bare_prompt_is_cut_into_pieces():
    found = cut({"prompt": "x" * (PIECE + 1)})
    assert (found.turns, found.first, found.last) == (2, b'"%b"' % (b"x" * PIECE), [b'"x"'])
    assert blocks(cut({"prompt": [1, 2, 3]})) == [b"", b"[1,2,3]"]


def test_what_is_not_in_the_messages_is_the_heads_size():
    found = cut({"messages": [HI]}, size=1030)
    assert found.size == 1030
    assert cut({"messages": [HI], "system": "s"}).size == 1 + len(found.first)


def test_the_middle_is_one_and_the_end_is_told_apart():
    turns = [{"role": "user", "content": str(number)} for number in range(LAST + 3)]
    found = cut({"messages": turns})
    assert (found.turns, len(found.last)) == (LAST + 3, LAST)
    assert found.middle == b'{"role":"user","content":"1"},{"role":"user","content":"2"}'
    assert cut({"messages": turns[: LAST + 1]}).middle == b""


def test_of_a_long_session_the_first_turn_is_enough():
    turns = [HI] * (LAST + 1)
    found = cut({"messages": turns}, size=999, x_session_id=b"s")
    assert (found.middle, found.last, found.size) == (None, [], 999)
    assert cut({"messages": turns[1:]}, size=999, x_session_id=b"s").middle == b""


@pytest.mark.parametrize(
    ("data", "headers", "session"),
    [
        ({}, {}, b""),
        ({}, {"x_session_id": b"a", "thread_id": b"b"}, b"a"),
        ({"prompt_cache_key": "c"}, {"x_claude_code_session_id": b"d"}, b"d"),
        ({"prompt_cache_key": "c", "metadata": {"user_id": "u"}}, {}, b"c"),
        ({"metadata": {"user_id": "u"}}, {}, b"u"),
        ({"metadata": {"user_id": 5}, "prompt_cache_key": ["x"]}, {}, b""),
        ({"metadata": "u", "prompt_cache_key": ""}, {"session_id": b""}, b""),
        ({"prompt_cache_key": "é" * 500}, {}, "é".encode() * (MAX_SESSION // 2)),
    ],
)
def test_a_session_is_what_the_client_calls_it(data, headers, session):
    assert cut(data, **headers).session == session


@pytest.mark.parametrize(
    "data",
    [
        {"messages": 5},
        {"messages": [None, 3, "x", {"role": 7}]},
        {"messages": [{"role": "system", "content": {"x": 1}}], "tools": [3, {}, {"name": 4}]},
        {"messages": [{"role": "user", "content": "\ud800"}], "system": "\udfff"},
        {"system": 3, "tools": {}, "prompt": {"x": 1}},
        {"input": None, "prompt": None},
        {"system": [None, {"text": 3}], "messages": []},
    ],
)
def test_nothing_that_a_client_sends_makes_it_fail(data):
    assert cut(data).head is not None


@pytest.mark.parametrize(
    ("part", "holds"),
    [
        ({"type": "image_url", "image_url": {}}, True),
        ({"type": "input_image"}, True),
        ({"type": "document"}, True),
        ({"type": "input_text", "text": "x"}, False),
        ({"type": "text", "text": '"type":"image'}, False),
    ],
)
def test_media_are_noticed(part, holds):
    assert holds_media(cut({"messages": [{"role": "user", "content": [part]}]})) is holds
