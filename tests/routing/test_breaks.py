"""Where a conversation's prompt broke, and what it cost."""

from zlib import crc32

import pytest

from multiproxy.routing.breaks import (
    CONVERSATIONS,
    MOST_BLOCKS,
    NO_BREAK,
    Break,
    Breaks,
    Shape,
    block_name,
    shape_of,
)

# A token is ten bytes: system 1000, tools 500, then messages of 100 tokens.
SYSTEM, TOOLS = b"s" * 10_000, b"t" * 5000


def prompt(*messages: bytes, system: bytes = SYSTEM, tools: bytes = TOOLS) -> list[bytes]:
    return [system, tools, *(each.ljust(1000, b".") for each in messages)]


ONE = (b"a", b"b", b"c")
MORE = (*ONE, b"d", b"e")


def shape(session: bytes, blocks: list[bytes]) -> Shape | None:
    return shape_of(session, list(map(crc32, blocks)), list(map(len, blocks)))


def look(breaks: Breaks, blocks: list[bytes], cached: int, session: bytes = b"s1") -> Break:
    tokens = sum(map(len, blocks)) // 10
    return breaks.look(shape(session, blocks), tokens, cached)


@pytest.fixture
def breaks() -> Breaks:
    breaks = Breaks()
    assert look(breaks, prompt(*ONE), 0) == NO_BREAK  # its first turn: nothing to compare with
    return breaks


@pytest.mark.parametrize(
    ("blocks", "cached", "expected"),
    [
        # 2,000 tokens of which the tail has 200; the rest was there already.
        (prompt(*MORE, system=b"S" * 10_000), 0, Break(1, 1800)),
        (prompt(*MORE, tools=b"T" * 5000), 1000, Break(2, 800)),
        (prompt(b"a", b"B", *MORE[2:]), 1600, NO_BREAK),  # 200 tokens: not worth a word
        (prompt(*MORE), 1800, NO_BREAK),
        (prompt(*MORE), 0, NO_BREAK),  # the same words: the cache was lost, not broken
    ],
)
def test_the_first_block_that_differs_is_the_break(breaks, blocks, cached, expected):
    assert look(breaks, blocks, cached) == expected


def test_a_message_is_told_by_its_number(breaks):
    blocks = prompt(b"a", b"B" * 8000, *MORE[2:])
    assert look(breaks, blocks, 1600) == Break(4, 900)
    assert block_name(4) == "message 2"
    assert [block_name(block) for block in (0, 1, 2, 3)] == ["", "system", "tools", "message 1"]


def test_what_was_read_again_before_the_break_is_not_its_cost(breaks):
    blocks = prompt(b"a", b"B" * 8000, *MORE[2:])
    assert look(breaks, blocks, 0) == Break(4, 900)  # another backend read all 2,700


def test_a_long_tail_hides_a_small_break(breaks):
    tail = [b"x" * 20_000]
    blocks = prompt(b"a", b"B" * 8000, b"c") + tail  # 900 again, and 2,000 new ones
    assert look(breaks, blocks, 1600) == NO_BREAK


def test_who_goes_back_says_something_new(breaks):
    assert look(breaks, prompt(b"a", b"b", b"C" * 9000), 1700) == NO_BREAK
    assert look(breaks, prompt(b"a", b"B" * 9000), 1600) == NO_BREAK


def test_other_conversations_are_no_breaks(breaks):
    changed = prompt(*MORE, system=b"S" * 10_000)
    assert look(breaks, changed, 0, session=b"s2") == NO_BREAK
    assert look(breaks, prompt(b"A", *MORE[1:], system=b"S" * 10_000), 0) == NO_BREAK
    assert look(breaks, changed, 0) == Break(1, 1800)


def test_without_a_name_another_head_is_another_conversation():
    breaks = Breaks()
    look(breaks, prompt(*ONE), 0, session=b"")
    assert look(breaks, prompt(*MORE, system=b"S" * 10_000), 0, session=b"") == NO_BREAK
    assert look(breaks, prompt(b"a", b"B" * 9000, *MORE[2:]), 1600, session=b"").block == 4


def test_the_next_turn_is_held_against_the_last_one(breaks):
    assert look(breaks, prompt(*MORE, system=b"S" * 10_000), 0).block == 1
    more = prompt(*MORE, b"f", b"g", system=b"S" * 10_000)
    assert look(breaks, more, 0) == NO_BREAK


def test_a_first_message_alone_and_an_endless_conversation_are_not_watched():
    assert shape(b"s1", prompt(b"a")) is None
    assert shape(b"s1", prompt(b"a", b"b")) is not None
    assert shape(b"s1", [b"x"] * MOST_BLOCKS) is not None
    assert shape(b"s1", [b"x"] * (MOST_BLOCKS + 1)) is None


def test_only_the_most_recent_conversations_are_remembered(breaks):
    changed = prompt(*MORE, system=b"S" * 10_000)
    for number in range(CONVERSATIONS):
        look(breaks, prompt(*ONE), 0, session=b"%d" % number)
    assert len(breaks._known) == CONVERSATIONS
    assert look(breaks, changed, 0) == NO_BREAK  # forgotten
    assert look(breaks, changed, 0, session=b"1").block == 1
