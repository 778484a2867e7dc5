"""What of a request stays equal from turn to turn."""

from zlib import crc32

import pytest

from multiproxy.dialects.prefix import MAX_SESSION, PIECE, Prefix, blocks_of, prefix_of, session_of
from multiproxy.dialects.request import understand

HI = {"role": "user", "content": "hi"}
HI_BYTES = b'{"role":"user","content":"hi"}'
BILLING = "x-anthropic-billing-header: cc_version=2.1.36; cch={};"


def cut(data):
    return prefix_of(data)


def said(*turns: bytes):
    """Checksums and sizes of these texts."""
    return list(map(crc32, turns)), list(map(len, turns))


def turns(prefix: Prefix):
    return prefix.sums, prefix.sizes


def test_a_longer_conversation_begins_with_the_shorter_ones_blocks():
    told = [{"role": "system", "content": "be kind"}, HI, {"role": "assistant", "content": "ho"}]
    short, long = cut({"messages": told[:2]}), cut({"messages": told, "temperature": 1})
    assert short == (b"be kind", *said(b'{"role":"user","content":"hi"}'), False)
    assert long == (b"be kind", *said(HI_BYTES, b'{"role":"assistant","content":"ho"}'), False)


def test_blocks_are_what_a_backend_reads():
    marked = HI | {"cache_control": {"type": "ephemeral"}}
    tool = {"name": "read", "input_schema": {"type": "object"}}
    system = [{"type": "text", "text": BILLING.format(1)}, {"type": "text", "text": "kind"}]
    asked = {"system": system, "messages": [marked, HI], "tools": [tool | marked]}
    tools = b'[{"name":"read","input_schema":{"type":"object"},"role":"user","content":"hi"}]'
    assert blocks_of(asked, cut(asked)) == said(b"kind", tools, HI_BYTES, HI_BYTES)
    asked = {"instructions": "Today's date is 1", "input": "hi"}
    assert blocks_of(asked, cut(asked)) == said(b"Today's date is 1", b"[]", b'"hi"')


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
    assert cut({"instructions": "s", "input": "hi"}) == (b"s", *said(b'"hi"'), False)
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
    assert first == second
    assert first.head == b"be kind"
    chat = {"messages": [{"role": "system", "content": system("xyz")}, HI]}
    assert cut(chat) == first


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
        assert cut({"messages": [{"role": "user", "content": [part]}]}) == plain
    assert turns(plain) == said(
        rb'{"role":"user","content":[{"type":"text","text":"say \"cache_control\":{} aloud"}]}'
    )
    assert cut({"messages": [HI | mark]}) == cut({"messages": [HI]})
    tool = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    assert cut({"messages": [{"role": "user", "content": [tool | mark]}]}) == cut(
        {"messages": [{"role": "user", "content": [tool]}]}
    )


def test_a_bare_prompt_is_cut_into_pieces():
    found = cut({"prompt": "x" * (PIECE + 1)})
    assert turns(found) == said(b'"%b"' % (b"x" * PIECE), b'"x"')
    assert cut({"prompt": [1, 2, 3]}) == (b"", *said(b"[1,2,3]"), False)


def test_a_request_reads_its_prompt_once():
    request = understand(b'{"messages":[{"role":"user","content":"hi"}]}')
    assert turns(request.prefix) == said(HI_BYTES)
    assert request.prefix is request.prefix


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
    fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    assert session_of(fields.get, data) == session


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


IMAGE = {"type": "image_url", "image_url": {}}


@pytest.mark.parametrize(
    ("part", "holds"),
    [
        (IMAGE, True),
        ({"type": "input_image"}, True),
        ({"type": "input_audio"}, True),
        ({"type": "document"}, True),
        ({"type": "tool_result", "content": [{"type": "text"}, {"type": "image"}]}, True),
        ({"type": "tool_result", "content": "image"}, False),
        ({"type": "input_text", "text": "x"}, False),
        ({"type": "text", "text": '"type":"image'}, False),
        ({"type": ["image"]}, False),
        ("image", False),
    ],
)
def test_media_are_noticed(part, holds):
    message = {"role": "user", "content": [part]}
    assert cut({"messages": [HI, message, HI]}).has_media is holds


def test_media_are_noticed_in_what_a_tool_returns_and_however_deep():
    output = {"type": "function_call_output", "call_id": "c", "output": [IMAGE]}
    assert cut({"input": [output]}).has_media
    part = IMAGE
    for _ in range(2000):
        part = {"type": "tool_result", "content": [part]}
    assert cut({"messages": [{"role": "user", "content": [part]}]}).has_media
