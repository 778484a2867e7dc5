"""The lines of those who wait for a slot."""

import pytest

from multiproxy.errors import Overloaded
from multiproxy.routing.queue import Queue


def test_a_line_is_first_come_first_served():
    queue: Queue[str] = Queue(9)
    for ticket in "abc":
        queue.join("m", ticket)
    assert list(queue.lines()) == [["a", "b", "c"]]


def test_a_line_is_bounded_at_its_limit():
    queue: Queue[int] = Queue(3)
    for ticket in range(3):
        queue.join("m", ticket)
    with pytest.raises(Overloaded) as error:
        queue.join("m", 3)
    assert (error.value.status, error.value.retry_after_s) == (503, 2)
    assert queue.waiting("m") == 3


def test_who_leaves_makes_room_wherever_it_stood():
    queue: Queue[str] = Queue(3)
    numbers = [queue.join("m", ticket) for ticket in "abc"]
    queue.leave("m", numbers[1])
    queue.join("m", "d")
    assert list(queue.lines()) == [["a", "c", "d"]]


def test_leaving_twice_is_leaving_once():
    queue: Queue[str] = Queue(3)
    number = queue.join("m", "a")
    other = queue.join("m", "b")
    queue.leave("m", number)
    queue.leave("m", number)
    queue.leave("unknown", number)
    assert (len(queue), queue.waiting("m")) == (1, 1)
    queue.leave("m", other)
    queue.leave("m", other)
    assert (len(queue), list(queue.lines())) == (0, [])


def test_a_full_line_of_one_model_leaves_room_for_another():
    queue: Queue[str] = Queue(1)
    queue.join("m", "a")
    queue.join("n", "b")
    assert (queue.waiting("m"), queue.waiting("n"), len(queue)) == (1, 1, 2)
    assert queue.waiting("o") == 0


def test_the_line_of_who_waits_longest_comes_first():
    queue: Queue[str] = Queue(9)
    first = queue.join("m", "m1")
    queue.join("n", "n1")
    queue.join("m", "m2")
    assert list(queue.lines()) == [["m1", "m2"], ["n1"]]
    queue.leave("m", first)  # m2 has waited less long than n1
    assert list(queue.lines()) == [["n1"], ["m2"]]


def test_lines_may_change_while_they_are_looked_at():
    queue: Queue[str] = Queue(9)
    numbers = {name: queue.join(name, name) for name in "abc"}
    seen = []
    for line in queue.lines():
        seen.append(line)
        queue.leave("b", numbers["b"])
        queue.join("d", "d")
    assert seen == [["a"], [], ["c"]]
    assert queue.waiting("d") == 3


def served(queue: Queue[str], count: int) -> str:
    """Who gets the next slots."""
    out = ""
    for _ in range(count):
        ticket = next(queue.lines())[0]
        number = next(n for n in range(1, 99) if queue.position("m", n) == 1)
        queue.leave("m", number, served=True)
        out += ticket
    return out


def test_owners_take_turns_and_each_is_first_come_first_served():
    queue: Queue[str] = Queue(99)
    for ticket in "abcdef":
        queue.join("m", ticket, owner="many")
    for ticket in "xy":
        queue.join("m", ticket, owner="few")
    assert next(queue.lines()) == list("axbycdef")
    assert served(queue, 3) == "axb"
    queue.join("m", "z", owner="new")
    assert served(queue, 6) == "yczdef"[0:6]


def test_an_owner_that_was_served_goes_behind_the_others():
    queue: Queue[str] = Queue(99)
    queue.join("m", "a", owner="A")
    assert served(queue, 1) == "a"
    queue.join("m", "b", owner="B")
    queue.join("m", "c", owner="A")
    assert served(queue, 2) == "bc"


def test_who_gives_up_does_not_lose_its_owners_turn():
    queue: Queue[str] = Queue(99)
    first = queue.join("m", "a", owner="A")
    queue.join("m", "b", owner="B")
    queue.join("m", "c", owner="A")
    queue.leave("m", first)
    assert next(queue.lines()) == ["c", "b"]


def test_a_better_priority_goes_first():
    queue: Queue[str] = Queue(99)
    for ticket, priority in (("batch", 2), ("normal", 1), ("chat", 0), ("more", 1)):
        queue.join("m", ticket, owner=ticket, priority=priority)
    assert next(queue.lines()) == ["chat", "normal", "more", "batch"]


def test_a_position_counts_those_who_are_served_before():
    queue: Queue[str] = Queue(99)
    numbers = [queue.join("m", ticket, owner="A") for ticket in "abc"]
    other = queue.join("m", "x", owner="B")
    assert [queue.position("m", number) for number in (*numbers, other)] == [1, 3, 4, 2]
    queue.leave("m", numbers[0])
    assert queue.position("m", numbers[0]) == 0
    assert queue.position("n", 1) == 0


def test_who_finds_no_room_is_told_when_to_come_back():
    queue: Queue[str] = Queue(1)
    queue.join("m", "a")
    with pytest.raises(Overloaded) as error:
        queue.join("m", "b", retry_after_s=42)
    assert error.value.retry_after_s == 42
