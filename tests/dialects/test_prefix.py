"""What of a request stays equal from turn to turn."""

import pytest

from multiproxy.dialects.prefix import MAX_SESSION, PIECE, holds_media, prefix_of

HI = {"role": "user", "content": "hi"}
BILLING = "x-anthropic-billing-header: cc_version=2.1.36; cch={};"


def cut(data, size=0, **headers):
    fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return prefix_of(fields.get, data, size)


def test_a_longer_conversation_begins_with_the_shorter_ones_blocks():
    turns = [{"role": "system", "content": "be kind"}, HI, {"role": "assistant", "content": "ho"}]
    short, long = cut({"messages": turns[:2]}), cut({"messages": turns, "temperature": 1})
    assert short.blocks == [b"be kind", b'{"role":"user","content":"hi"}']
    assert long.blocks[:2] == short.blocks and len(long.blocks) == 3


def test_the_head_is_system_and_tools_in_every_dialect():
    tools = [
        {"type": "function", "function": {"name": "read"}},
        {"name": "write", "input_schema": {}},
        {"type": "web_search"},
    ]
    chat = [{"role": "system", "content": "s"}, {"role": "developer", "content": "d"}, HI]
    assert cut({"messages": chat, "tools": tools}).blocks[0] == b"s\0d\0read\0write\0web_search"
    messages = {"system": [{"type": "text", "text": "s"}], "messages": [HI], "tools": tools[1:2]}
    assert cut(messages).blocks[0] == b"s\0write"
    assert cut({"instructions": "s", "input": "hi"}).blocks == [b"s", b"hi"]
    assert cut({"instructions": "s", "input": [HI]}).blocks[0] == b"s"


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
    assert first.blocks == second.blocks
    assert first.blocks[0] == b"be kind"
    chat = {"messages": [{"role": "system", "content": system("xyz")}, HI]}
    assert cut(chat).blocks == first.blocks


@pytest.mark.parametrize(
    "words",
    ["Today's date: {}", "Current date and time: {}", "<env>\ncurrent time is {}\n</env>"],
)
def test_the_date_does_not_count_and_what_follows_it_does(words):
    def heads(rest):
        return [
            cut({"system": words.format(date) + "\n" + rest, "messages": []}).blocks[0]
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
        assert cut({"messages": [{"role": "user", "content": [part]}]}).blocks == plain.blocks
    assert b"aloud" in plain.blocks[1]


def test_a_bare_prompt_is_cut_into_pieces():
    blocks = cut({"prompt": "x" * (PIECE + 1)}).blocks
    assert [len(block) for block in blocks] == [0, PIECE, 1]
    assert cut({"prompt": [1, 2, 3]}).blocks == [b"", b"[1,2,3]"]


def test_what_is_not_in_the_messages_is_the_heads_size():
    assert cut({"messages": [HI]}, size=1030).head_size == 1000


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
    assert cut(data).blocks


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
