"""Seeded agent traffic for the routing simulation: sessions whose prompts grow turn by turn."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from multiproxy.routing.affinity import Mark

BYTES_PER_TOKEN = 4


@dataclass(slots=True)
class Request:
    """One request: ``ends`` are the prompt's tokens up to each of its ``marks``."""

    session: "Session"
    marks: list[Mark]
    ends: list[int]
    output: int
    arrived: float = 0.0
    started: float = 0.0
    first: float = 0.0
    ended: float = 0.0
    cached: int = 0
    backend: int = -1

    @property
    def tokens(self) -> int:
        return self.ends[-1]


@dataclass(slots=True)
class Session:
    """One conversation: a head that others share, then turns; ``begins`` is its first arrival."""

    number: int
    begins: float
    turns: list[tuple[int, int, float]]  # new prompt tokens, output tokens, pause before it
    head: int
    head_tokens: int
    done: int = 0
    marks: list[Mark] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def next_request(self, chance: Random) -> Request:
        """Return the next turn's request; its answer becomes part of the one after."""
        if not self.marks:
            self._add(self.head, self.head_tokens)
        new, output, _ = self.turns[self.done]
        self.done += 1
        self._add(chance.getrandbits(63) | 1, new)
        request = Request(self, self.marks[:], self.ends[:], output)
        self._add(chance.getrandbits(63) | 1, output)  # the answer, as the client sends it back
        return request

    def _add(self, key: int, tokens: int) -> None:
        end = (self.ends[-1] if self.ends else 0) + tokens
        self.ends.append(end)
        self.marks.append(Mark(key, end * BYTES_PER_TOKEN))


@dataclass(frozen=True, slots=True)
class Traffic:
    """What kinds of sessions there are. Tokens and seconds; means of lognormal draws."""

    agents: float = 0.55  # share of the sessions
    subagents: float = 0.25
    batch: float = 0.20
    turns: float = 10.0
    heads: int = 6  # different system prompts of agents
    head_tokens: int = 8_000

    def sessions(self, seed: int, rate: float) -> Iterator[Session]:
        """Yield sessions for ever; ``rate`` is how many begin per second."""
        chance = Random(seed)
        now = 0.0
        number = 0
        heads = [
            (chance.getrandbits(63) | 1, int(self.head_tokens * s)) for s in _spread(self.heads)
        ]
        batch_head = (chance.getrandbits(63) | 1, 300)
        while True:
            now += chance.expovariate(rate)
            number += 1
            kind = chance.random()
            if kind < self.agents:
                head, turns = chance.choice(heads), _turns(chance, self.turns, 700, 220, 4.0)
            elif kind < self.agents + self.subagents:
                head, turns = (
                    chance.choice(heads[:2]),
                    _turns(chance, self.turns / 2, 900, 150, 1.5),
                )
            else:
                head, turns = batch_head, _turns(chance, 1, 1500, 120, 0.0)
            yield Session(number, now, turns, *head)

    def work(self, prefill: float, decode: float, count: int = 4000) -> float:
        """Return a session's mean seconds of a slot, with a tenth of its prompts read again."""
        total = 0.0
        sessions = self.sessions(99, 1.0)
        for _ in range(count):
            session = next(sessions)
            prompt = session.head_tokens
            for new, output, _ in session.turns:
                prompt += new
                total += (new + 0.1 * prompt) / prefill + output / decode
                prompt += output
        return total / count


def _spread(count: int) -> list[float]:
    return [0.5 + index / max(1, count - 1) for index in range(count)]


def _turns(
    chance: Random, mean: float, new: float, output: float, pause: float
) -> list[tuple[int, int, float]]:
    count = 1 if mean <= 1 else min(60, 1 + int(chance.expovariate(1 / (mean - 1))))
    return [
        (_draw(chance, new), _draw(chance, output), chance.expovariate(1 / pause) if pause else 0.0)
        for _ in range(count)
    ]


def _draw(chance: Random, mean: float, sigma: float = 0.8) -> int:
    return max(8, int(chance.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma)))
