"""The policies that the routing simulation compares; ``Ours`` is the real routing code."""

from abc import ABC, abstractmethod
from array import array
from collections import OrderedDict
from random import Random
from time import process_time

from multiproxy.routing.affinity import Homes
from multiproxy.routing.placement import Candidate, Decision, Shares, choose, shortlists
from multiproxy.routing.queue import Queue
from multiproxy.routing.recall import Recall, Wish
from multiproxy.scoreboard import Memory
from multiproxy.scoreboard.layout import MEMORY
from routing_fleet import Backend
from routing_traffic import Request


class Policy(ABC):
    """Sends each request to a backend at once, where it may have to wait in line."""

    name: str

    def __init__(self, backends: list[Backend], seed: int) -> None:
        self.backends = backends
        self.chance = Random(seed)

    @abstractmethod
    def pick(self, request: Request, now: float) -> Backend:
        """Return the backend for a request."""

    def arrive(self, request: Request, now: float) -> list[Request]:
        """Take a request; return those that start now."""
        backend = self.pick(request, now)
        if backend.busy < backend.slots:
            backend.start(request, now)
            return [request]
        backend.line.append(request)
        return []

    def left(self, request: Request, now: float) -> list[Request]:
        """Note that a request ended; return those that start now."""
        backend = self.backends[request.backend]
        if not backend.line:
            return []
        waiting = backend.line.popleft()
        backend.start(waiting, now)
        return [waiting]


class RoundRobin(Policy):
    name = "round robin"
    _next = -1

    def pick(self, request: Request, now: float) -> Backend:
        self._next = (self._next + 1) % len(self.backends)
        return self.backends[self._next]


class Chance(Policy):
    name = "random"

    def pick(self, request: Request, now: float) -> Backend:
        return self.chance.choice(self.backends)


class LeastBusy(Policy):
    name = "least busy"

    def pick(self, request: Request, now: float) -> Backend:
        least = min(each.in_flight for each in self.backends)
        return self.chance.choice([each for each in self.backends if each.in_flight == least])


class PureRendezvous(Policy):
    name = "rendezvous"

    def __init__(self, backends: list[Backend], seed: int) -> None:
        super().__init__(backends, seed)
        self._homes = Homes({each.index: f"b{each.index}" for each in backends}, {})

    def pick(self, request: Request, now: float) -> Backend:
        return self.backends[self._homes.order(request.marks[1].key, 1)[0]]


class PrefixTree(Policy):
    """As sglang's router: the longest match if it is half the prompt, else the smallest tree;
    the shortest line when lines are out of balance.
    """

    name = "prefix tree"
    _THRESHOLD = 0.5
    _ABSOLUTE = 32
    _RELATIVE = 1.1
    _ROOM = 4000  # marks per backend

    def __init__(self, backends: list[Backend], seed: int) -> None:
        super().__init__(backends, seed)
        self._trees: list[OrderedDict[int, None]] = [OrderedDict() for _ in backends]

    def pick(self, request: Request, now: float) -> Backend:
        loads = [each.in_flight for each in self.backends]
        least, most = min(loads), max(loads)
        if most - least > self._ABSOLUTE and most > self._RELATIVE * least:
            index = loads.index(least)
        else:
            matched, index = max(
                (self._matched(tree, request), -index) for index, tree in enumerate(self._trees)
            )
            index = -index
            if matched / request.tokens <= self._THRESHOLD:
                index = min(range(len(self._trees)), key=lambda i: len(self._trees[i]))
        tree = self._trees[index]
        for mark in request.marks:
            tree[mark.key] = None
            tree.move_to_end(mark.key)
        while len(tree) > self._ROOM:
            tree.popitem(last=False)
        return self.backends[index]

    @staticmethod
    def _matched(tree: OrderedDict[int, None], request: Request) -> int:
        for number in range(len(request.marks) - 1, -1, -1):
            if request.marks[number].key in tree:
                return request.ends[number]
        return 0


class Oracle(Policy):
    """Knows every cache and when every answer will end; takes the earliest first token."""

    name = "oracle"

    def pick(self, request: Request, now: float) -> Backend:
        return min(self.backends, key=lambda each: (each.first_at(request, now), each.in_flight))


class Ours(Policy):
    """MultiProxy's own: requests wait outside, and everything is learned from answers."""

    name = "multiproxy"
    _MODEL = "m"
    _TIMED = 16  # one placement of so many is timed
    _LOOK_S = 0.02  # between looks of those who wait for another backend than the one that is free

    def __init__(self, backends: list[Backend], seed: int) -> None:
        super().__init__(backends, seed)
        size = MEMORY.rows * MEMORY.row_size
        self._recall = Recall(Memory(memoryview(bytearray(size))))
        self._homes = Homes({each.index: f"b{each.index}" for each in backends}, {})
        self._shares = Shares()
        self._indices = range(len(backends))
        self._queue: Queue[tuple[Request, Wish, list[int]]] = Queue(10**9)
        self._numbers: dict[int, int] = {}
        self._wishes: dict[int, Wish] = {}
        self._wanted: dict[int, int] = {}
        self._wants: dict[int, int] = {}
        self.reasons: dict[str, int] = {}
        self._full: set[int] = set()  # who found no slot anywhere
        self._looked = 0.0
        self.spent_s = array("d")  # CPU time of timed placements

    def pick(self, request: Request, now: float) -> Backend:
        raise NotImplementedError

    def arrive(self, request: Request, now: float) -> list[Request]:
        wish, homes = self._wish(request, now)
        if self._full:  # nobody overtakes who waits for any slot
            self._full.add(id(request))
        else:
            backend = self._choose(request, wish, homes)
            if backend is not None:
                self._recall.placed(wish, backend, now)
                if len(self._wishes) % self._TIMED == 0:
                    self.spent_s.append(self._cost_of(request, backend, now))
                self._start(request, wish, backend, now)
                return [request]
        number = self._queue.join(self._MODEL, (request, wish, homes))
        self._numbers[id(request)] = number
        return []

    def left(self, request: Request, now: float) -> list[Request]:
        wish = self._wishes.pop(id(request))
        self._recall.answered(wish, request.backend, request.tokens, request.cached, now)
        pace = self._recall.pace(request.backend)
        reading_s = (request.tokens - request.cached) / self.backends[request.backend].prefill
        pace.prefilled(request.tokens - request.cached, reading_s)
        pace.held(request.ended - request.started, reading_s)
        return self._start_waiting(request.backend, now)

    def _start_waiting(self, free: int, now: float) -> list[Request]:
        """Let in who can be: who waits for the backend that has room now, or for any.

        The others look again a few times a second: in between little changes for them.
        """
        started = []
        looks = now - self._looked >= self._LOOK_S
        if looks:
            self._looked = now
        for line in self._queue.lines():
            for request, wish, homes in line:
                place = id(request)
                if not looks and place not in self._full and self._wants[place] != free:
                    continue
                self._want(request, None)
                backend = self._choose(request, wish, homes)
                if backend is not None:
                    self._recall.placed(wish, backend, now)
                    self._start(request, wish, backend, now)
                    self._queue.leave(self._MODEL, self._numbers.pop(id(request)))
                    started.append(request)
                elif place in self._full:
                    return started
        return started

    def _cost_of(self, request: Request, backend: int, now: float) -> float:
        """CPU seconds of a placement: the least of some, since others use the cores too."""
        least, chance = 1.0, Random(1)
        for _ in range(5):
            began = process_time()
            wish, homes = self._wish(request, now)
            self._decide(wish, homes, chance)
            self._recall.placed(wish, backend, now)  # as it was noted already
            least = min(least, process_time() - began)
        return least

    def _wish(self, request: Request, now: float) -> tuple[Wish, list[int]]:
        wish = self._recall.wish(request.marks, self._indices, now)
        is_new = wish.is_worth_it and not wish.known
        return wish, self._homes.order(wish.key, 3) if is_new else []

    def _decide(self, wish: Wish, homes: list[int], chance: Random) -> Decision:
        for listed in shortlists(self._indices, wish, homes, chance):
            candidates = list(map(self._candidate, listed))
            decision = choose(candidates, chance, wish, homes, self._shares)
            if not decision.is_full:
                break
        return decision

    def _choose(self, request: Request, wish: Wish, homes: list[int]) -> int | None:
        """Return the backend for a request, or note for which one it waits."""
        choice = self._decide(wish, homes, self.chance)
        self._want(request, choice.wanted)
        (self._full.add if choice.is_full else self._full.discard)(id(request))
        if choice.backend is not None:
            self._shares.count(choice.backend)
            self.reasons[choice.reason.name] = self.reasons.get(choice.reason.name, 0) + 1
        return choice.backend

    def _start(self, request: Request, wish: Wish, backend: int, now: float) -> None:
        self._wishes[id(request)] = wish
        self.backends[backend].start(request, now)

    def _want(self, request: Request, backend: int | None) -> None:
        """Count who waits for whom."""
        before = self._wants.pop(id(request), None)
        if before is not None:
            self._wanted[before] -= 1
        if backend is not None:
            self._wants[id(request)] = backend
            self._wanted[backend] = self._wanted.get(backend, 0) + 1

    def _candidate(self, index: int) -> Candidate:
        backend = self.backends[index]
        waiting = self._wanted.get(index, 0)
        return Candidate(index, backend.busy, backend.slots, 1, self._recall.pace(index), waiting)


POLICIES = (RoundRobin, Chance, LeastBusy, PureRendezvous, PrefixTree, Ours, Oracle)
