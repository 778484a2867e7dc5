"""Where prompts went, looked up again, and made true by what answers tell."""

from zlib import crc32

from multiproxy.routing.affinity import marks_of
from multiproxy.routing.recall import DEEPEST, WORTH, Recall
from multiproxy.scoreboard import Memory

ALL = range(4)
HEAD = b"h"
HEAD_SIZE = 8000  # bytes, 2,000 tokens


def recall() -> Recall:
    return Recall(Memory(memoryview(bytearray(1 << 16))))


def marks(*turns: str, session: bytes = b""):
    """Each letter is a turn of 1,000 bytes."""
    told = [turn.encode() * 1000 for turn in turns]
    size = HEAD_SIZE + sum(map(len, told)) + len(told) - 1
    return marks_of(session, HEAD, list(map(crc32, told)), list(map(len, told)), size)


def go(memory: Recall, backend: int, *turns: str, now: float = 10.0, **more):
    """A request that went to a backend and was answered."""
    wish = memory.wish(marks(*turns, **more), ALL, now)
    memory.placed(wish, backend, now)
    memory.answered(wish, backend, wish.tokens, 0, now)
    return wish


def test_the_next_turn_finds_where_the_last_one_was():
    memory = recall()
    first = go(memory, 2, "a", now=10.0)
    wish = memory.wish(marks("a", "b", "c"), ALL, 15.0)
    assert wish.known.keys() == {2}
    tokens, age_s, mark = wish.known[2]
    assert (tokens, age_s, mark) == (first.tokens, 5.0, 1)
    assert 0.99 * tokens < wish.cached[2] <= tokens


def test_a_last_message_that_was_changed_after_the_fact_loses_only_itself():
    memory = recall()
    go(memory, 1, "a", "b", "c")
    wish = memory.wish(marks("a", "b", "c without its reminder", "d"), ALL, 11.0)
    assert wish.known[1].mark == 2


def test_a_new_conversation_knows_who_has_the_head():
    memory = recall()
    go(memory, 1, "a")
    go(memory, 3, "b")
    wish = memory.wish(marks("c"), ALL, 11.0)
    assert wish.known.keys() == {1, 3}
    assert all(1900 < known.tokens < 2100 for known in wish.known.values())


def test_the_conversation_and_the_head_may_be_at_different_backends():
    memory = recall()
    go(memory, 1, "a")
    go(memory, 3, "b")
    wish = memory.wish(marks("a", "x"), ALL, 11.0)
    assert wish.known[1].mark == 1 and wish.known[3].mark == 0
    assert wish.cached[1] > wish.cached[3] > 0


def test_only_candidates_are_found():
    memory = recall()
    go(memory, 1, "a")
    assert memory.wish(marks("a", "b"), (0, 2), 11.0).known == {}


def test_a_session_is_found_however_its_messages_changed():
    memory = recall()
    go(memory, 1, "a", "b", session=b"s")
    wish = memory.wish(marks("a", "compacted", session=b"s"), ALL, 11.0)
    assert wish.known[1].mark == 1
    assert memory.wish(marks("a", "b", session=b"t"), ALL, 11.0).known[1].mark == 0


def test_short_prompts_are_neither_noted_nor_looked_up():
    memory = recall()
    short = marks_of(b"", b"", [1], [WORTH * 4 - 200], WORTH * 4 - 100)
    wish = memory.wish(short, ALL, 1.0)
    assert not wish.is_worth_it
    memory.placed(wish, 0, 1.0)
    memory.answered(wish, 0, 200, 0, 1.0)
    assert not any(memory._table._words)


def test_an_answer_tells_how_many_tokens_there_really_were():
    memory = recall()
    wish = memory.wish(marks("a"), ALL, 1.0)
    memory.placed(wish, 0, 1.0)
    memory.answered(wish, 0, 1234, 0, 2.0)
    assert memory.wish(marks("a", "b"), ALL, 3.0).known[0].tokens == 1234


def test_bytes_per_token_follow_the_answers():
    memory = recall()
    for _ in range(100):
        wish = memory.wish(marks("a"), ALL, 1.0)
        memory.answered(wish, 0, wish.marks[-1].size // 2, 0, 1.0)
    assert 1.9 < memory.bytes_per_token < 2.1


def test_a_backend_that_does_not_keep_what_it_read_is_expected_to_keep_less():
    memory = recall()
    go(memory, 0, "a", now=0.0)
    before = memory.wish(marks("a", "b"), ALL, 20.0)
    for _ in range(30):
        memory.answered(before, 0, 3000, 4, 21.0)  # a template's few tokens are no hit
    after = memory.wish(marks("a", "b", "c"), ALL, 60.0)
    assert after.cached[0] < 0.2 * after.known[0].tokens
    assert before.cached[0] > 0.9 * before.known[0].tokens


def test_a_backend_that_failed_has_nothing():
    memory = recall()
    wish = memory.wish(marks("a"), ALL, 1.0)
    memory.placed(wish, 0, 1.0)
    memory.failed(wish, 0)
    assert memory.wish(marks("a", "b"), ALL, 2.0).known.get(0) is None


def test_a_long_conversation_costs_a_bounded_number_of_lookups():
    memory = recall()
    looked = []
    find = memory._table.find
    memory._table.find = lambda key: looked.append(key) or find(key)  # type: ignore[method-assign]
    memory.wish(marks(*map(str, range(500))), ALL, 1.0)
    assert len(looked) <= DEEPEST + 3
