"""Marks that grow with a conversation, and homes that replicas agree on."""

from collections import Counter
from zlib import crc32

import pytest

from multiproxy.routing.affinity import FLAT, LAST, Homes, Mark, arm_of, marks_of

NAMES = {index: f"gpu-{index}" for index in range(8)}
TURNS = [b"head", b"hello", b"hi there", b"how are you"]


def mark(session: bytes, blocks: list[bytes], head_size: int) -> list[Mark]:
    """The marks of a head and turns."""
    head, *turns = blocks or [b""]
    size = head_size + len(b",".join(turns))
    return marks_of(session, head, list(map(crc32, turns)), list(map(len, turns)), size)


def keys(count):
    return [mark(b"", [b"head", b"%d" % number], 4)[-1].key for number in range(count)]


def test_each_turn_keeps_the_marks_of_the_last_one():
    marks = mark(b"", TURNS, 100)
    for turns in range(1, 5):
        shorter = mark(b"", TURNS[:turns], 100)
        assert [each.key for each in shorter] == [each.key for each in marks[:turns]]
    assert [each.size for each in marks] == [100, 105, 114, 126]
    assert len({each.key for each in marks}) == 4 and all(each.key > 0 for each in marks)


@pytest.mark.parametrize(
    "other",
    [
        [b"Head", b"hello"],
        [b"head", b"hello!"],
        [b"headh", b"ello"],
    ],
)
def test_another_head_or_message_is_another_prompt(other):
    assert mark(b"", other, 100)[-1].key not in {m.key for m in mark(b"", TURNS, 100)}


def test_a_named_session_is_one_key_however_long_it_is():
    short, long = (mark(b"s1", TURNS[:n], 100) for n in (2, 4))
    assert [mark.key for mark in short] == [mark.key for mark in long]
    assert (short[1].size, long[1].size) == (105, 126)
    assert mark(b"s2", TURNS, 100)[1].key != long[1].key
    assert mark(b"s2", TURNS, 100)[0] == long[0]  # the head is the same for all


def test_sub_conversations_of_one_session_are_told_apart():
    """Agents send one session's name: a sub-agent has another head, or another first message."""
    main = mark(b"s", [b"you are an agent", b"fix it", b"..."], 9)[-1].key
    other_head = mark(b"s", [b"you explore", b"fix it"], 9)[-1].key
    other_task = mark(b"s", [b"you are an agent", b"find it"], 9)[-1].key
    assert len({main, other_head, other_task}) == 3


def test_nothing_is_marked_where_there_is_nothing():
    assert [each.size for each in mark(b"", [], 0)] == [0]
    assert [each.size for each in mark(b"s", [b"head"], 9)] == [9]


def test_turns_may_move_from_the_last_ones_to_the_middle():
    turns = [b"%d" % number for number in range(40)]
    marks = mark(b"", [b"head", *turns], 100)
    assert len(marks) == 2 + LAST
    assert marks[-1].size == 100 + len(b",".join(turns))
    for fewer in range(41 - LAST, 40):
        assert mark(b"", [b"head", *turns[:fewer]], 100)[-1] in marks
    assert mark(b"", [b"head", *turns[:39], b"x"], 100)[:-1] == marks[:-1]
    assert mark(b"", [b"head", b"0", b"x", *turns[2:]], 100)[-1] not in marks  # in the middle


def test_a_prompt_whose_bytes_are_not_known_has_those_of_its_parts():
    marks = marks_of(b"", b"head", [1, 2], [10, 20], 0)
    assert [each.size for each in marks] == [4, 14, 35]
    assert [each.size for each in marks_of(b"s", b"head", [1, 2], [10, 20], 0)] == [4, 35]


def test_a_long_session_has_two_marks():
    sums, sizes = [1] * 500, [9] * 500
    marks = marks_of(b"s", b"head", sums, sizes, 6000)
    assert [each.size for each in marks] == [1001, 6000]
    assert marks[1].key == marks_of(b"s", b"head", sums[:2], sizes[:2], 0)[1].key


@pytest.mark.parametrize("count", [8, FLAT + 1, 100])
def test_homes_are_shared_out_evenly(count):
    homes = Homes({index: f"gpu-{index}" for index in range(count)}, {})
    shares = Counter(homes.order(key, 1)[0] for key in keys(400 * count))
    assert len(shares) == count
    assert all(300 < share < 500 for share in shares.values()), shares


@pytest.mark.parametrize("count", [8, 100])
def test_homes_follow_the_weights(count):
    weights = {index: 3.0 if index % 2 else 1.0 for index in range(count)}
    homes = Homes({index: f"gpu-{index}" for index in range(count)}, weights)
    shares = Counter(homes.order(key, 1)[0] % 2 for key in keys(8000))
    assert 2.7 < shares[1] / shares[0] < 3.3


def test_replicas_agree_whatever_their_indices_are():
    ours = Homes(NAMES, {})
    theirs = Homes({100 - index: name for index, name in NAMES.items()}, {})
    for key in keys(50):
        assert ours.order(key, 3) == [100 - backend for backend in theirs.order(key, 3)]


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [
        (8, [7, 6, 0], [7, 1, 5]),
        (100, [61, 8, 51], [69, 40, 66]),
        (1000, [813, 138, 117], [216, 276, 933]),
    ],
)
def test_versions_agree_too(count, first, last):
    """These orders were found member by member, each mixed with the key alone."""
    weights = {index: 1.0 + index % 2 for index in range(count)}
    homes = Homes({index: f"gpu-{index}" for index in range(count)}, weights)
    assert homes.order(0x0123456789ABCDEF, 3) == first
    assert homes.order(0xFFFFFFFFFFFFFFFF, 3) == last


@pytest.mark.parametrize("count", [8, 100])
def test_a_backend_that_goes_moves_only_its_own_conversations(count):
    names = {index: f"gpu-{index}" for index in range(count)}
    before = Homes(names, {})
    after = Homes({index: name for index, name in names.items() if index != 3}, {})
    moved = stayed = 0
    for key in keys(2000):
        old, new = before.order(key, 1)[0], after.order(key, 1)[0]
        if old == 3:
            moved += 1
            assert new != 3
        elif old != new:
            stayed += 1
    assert moved > 0
    # In groups, the group that lost one is a little lighter: its neighbours' go too.
    assert stayed == 0 if count <= FLAT else stayed < 2000 * 0.02


@pytest.mark.parametrize("count", [8, 100])
def test_the_order_names_each_backend_once(count):
    homes = Homes({index: f"gpu-{index}" for index in range(count)}, {})
    for key in keys(50):
        order = homes.order(key, 4)
        assert len(set(order)) == 4
        assert homes.order(key, 1) == order[:1]


def test_arms_get_their_share_and_keep_their_conversations():
    found = Counter(arm_of(key, (90, 10)) for key in keys(10_000))
    assert abs(found[0] / 10_000 - 0.9) < 0.01
    assert all(arm_of(key, (90, 10)) == arm_of(key, (90, 10)) for key in keys(50))
    assert {arm_of(key, (0, 5, 0)) for key in keys(50)} == {1}
