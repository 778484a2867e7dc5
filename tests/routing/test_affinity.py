"""Marks that grow with a conversation, and homes that replicas agree on."""

from collections import Counter

import pytest

from multiproxy.routing.affinity import FLAT, Homes, Mark, arm_of, marks_of

NAMES = {index: f"gpu-{index}" for index in range(8)}
TURNS = [b"head", b"hello", b"hi there", b"how are you"]


def keys(count):
    return [marks_of(b"", [b"head", b"%d" % number], 4)[-1].key for number in range(count)]


def test_each_turn_keeps_the_marks_of_the_last_one():
    marks = marks_of(b"", TURNS, 100)
    for turns in range(1, 5):
        assert marks_of(b"", TURNS[:turns], 100) == marks[:turns]
    assert [mark.size for mark in marks] == [100, 105, 113, 124]
    assert len({mark.key for mark in marks}) == 4 and all(mark.key > 0 for mark in marks)


@pytest.mark.parametrize(
    "other",
    [
        [b"Head", b"hello"],
        [b"head", b"hello!"],
        [b"headh", b"ello"],
    ],
)
def test_another_head_or_message_is_another_prompt(other):
    assert marks_of(b"", other, 100)[-1].key not in {m.key for m in marks_of(b"", TURNS, 100)}


def test_a_named_session_is_one_key_however_long_it_is():
    short, long = (marks_of(b"s1", TURNS[:n], 100) for n in (2, 4))
    assert [mark.key for mark in short] == [mark.key for mark in long]
    assert (short[1].size, long[1].size) == (105, 124)
    assert marks_of(b"s2", TURNS, 100)[1].key != long[1].key
    assert marks_of(b"s2", TURNS, 100)[0] == long[0]  # the head is the same for all


def test_sub_conversations_of_one_session_are_told_apart():
    """Agents send one session's name: a sub-agent has another head, or another first message."""
    main = marks_of(b"s", [b"you are an agent", b"fix it", b"..."], 9)[-1].key
    other_head = marks_of(b"s", [b"you explore", b"fix it"], 9)[-1].key
    other_task = marks_of(b"s", [b"you are an agent", b"find it"], 9)[-1].key
    assert len({main, other_head, other_task}) == 3


def test_nothing_is_marked_where_there_is_nothing():
    assert marks_of(b"", [], 0) == []
    assert marks_of(b"s", [b""], 0) == [Mark(marks_of(b"", [b""], 0)[0].key, 0)]


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
