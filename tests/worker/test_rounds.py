"""Looks at many, a group at a time, on a loop whose timers the test fires."""

import asyncio
from typing import Any

from multiproxy.worker.rounds import GROUP, READ_FIRST_S, Round


class Turns:
    """A loop's timers, fired by hand; everything else is the loop's own."""

    def __init__(self, monkeypatch: Any) -> None:
        self.waiting: list[tuple[float, Any, tuple[Any, ...]]] = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", self._call_later)

    def _call_later(self, delay: float, callback: Any, *arguments: Any) -> None:
        self.waiting.append((delay, callback, arguments))

    def fire(self) -> None:
        waiting, self.waiting = self.waiting, []
        for _, callback, arguments in waiting:
            callback(*arguments)


async def test_few_are_looked_at_in_the_same_moment(monkeypatch):
    turns, seen = Turns(monkeypatch), []
    Round({"a", "b"}, lambda member, now, now_ns: seen.append(member), 0.2).begin()
    assert (sorted(seen), turns.waiting) == (["a", "b"], [])


async def test_many_are_looked_at_once_each_in_groups_over_the_period(monkeypatch):
    turns, seen = Turns(monkeypatch), []
    members = set(range(3 * GROUP + 1))
    Round(members, lambda member, now, now_ns: seen.append(member), 0.2).begin()
    assert len(seen) == GROUP
    assert [round(delay, 3) for delay, *_ in turns.waiting] == [0.05, 0.1, 0.15]
    turns.fire()
    assert sorted(seen) == sorted(members)


async def test_who_ended_before_its_turn_is_left_out_and_who_came_waits_for_the_next(monkeypatch):
    turns, seen = Turns(monkeypatch), []
    members = set(range(2 * GROUP))
    Round(members, lambda member, now, now_ns: seen.append(member), 0.2).begin()
    ended = (members - set(seen)).pop()
    members.discard(ended)
    members.add(-1)
    turns.fire()
    assert set(seen) == set(range(2 * GROUP)) - {ended}


async def test_a_bug_in_one_look_is_told_and_the_others_are_looked_at(capsys):
    seen = []

    def look(member, now, now_ns):
        if member == "bad":
            raise ZeroDivisionError
        seen.append(member)

    Round(["a", "bad", "b"], look, 0.2).begin()
    assert seen == ["a", "b"]
    assert "ZeroDivisionError" in capsys.readouterr().err


async def test_everybody_is_told_the_time_of_the_loop_and_of_the_monotonic_clock():
    before = asyncio.get_running_loop().time()
    told = []
    Round(["a"], lambda member, now, now_ns: told.append((now, now_ns)), 0.2).begin()
    [(now, now_ns)] = told
    assert before <= now and abs(now - now_ns / 1e9) < 60


async def test_who_is_looked_at_late_is_first_given_the_time_to_be_read(monkeypatch):
    turns, seen = Turns(monkeypatch), []
    members = set(range(2 * GROUP))
    Round(members, lambda member, now, now_ns: seen.append(member), 0.2).begin()
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now + 0.5)
    turns.fire()
    assert len(seen) == GROUP and [delay for delay, *_ in turns.waiting] == [READ_FIRST_S]
    turns.fire()
    assert sorted(seen) == sorted(members) and not turns.waiting
