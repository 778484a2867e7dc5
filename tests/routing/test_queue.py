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


class Waiting:
    """Tickets of a queue by their owners, served one after the other."""

    def __init__(self) -> None:
        self.queue: Queue[str] = Queue(99)
        self._numbers: dict[str, int] = {}

    def join(self, owner: str, tickets: str) -> None:
        for ticket in tickets:
            self._numbers[ticket] = self.queue.join("m", ticket, owner=owner)

    def served(self, count: int) -> str:
        """Who gets the next slots."""
        out = ""
        for _ in range(count):
            ticket = next(self.queue.lines())[0]
            self.queue.leave("m", self._numbers[ticket], served=True)
            out += ticket
        return out


def test_owners_take_turns_and_each_is_first_come_first_served():
    waiting = Waiting()
    waiting.join("many", "abcdef")
    waiting.join("few", "xy")
    assert next(waiting.queue.lines()) == list("axbycdef")
    assert waiting.served(3) == "axb"
    waiting.join("new", "z")
    assert waiting.served(6) == "yczdef"


def test_an_owner_that_was_served_goes_behind_the_others():
    waiting = Waiting()
    waiting.join("A", "a")
    assert waiting.served(1) == "a"
    waiting.join("B", "b")
    waiting.join("A", "c")
    assert waiting.served(2) == "bc"


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


def test_who_finds_no_room_is_told_when_to_come_back():
    queue: Queue[str] = Queue(1)
    queue.join("m", "a")
    with pytest.raises(Overloaded) as error:
        queue.join("m", "b", retry_after_s=42)
    assert error.value.retry_after_s == 42
