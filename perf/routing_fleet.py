"""The backends of the routing simulation: slots, one GPU that reads prompts, an LRU cache.

A backend reads one prompt after the other and generates in all slots side by side. Like
llama-server it keeps the prompts of its slots, and as many again in main memory.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable

from routing_traffic import Request


class Cache:
    """Prompts by conversation, least recently used first; ``marks`` counts who has each mark."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._entries: OrderedDict[int, Request] = OrderedDict()
        self._marks: dict[int, int] = {}

    def match(self, request: Request) -> int:
        """Return how many tokens of a prompt are here."""
        marks, known = request.marks, self._marks
        for number in range(len(marks) - 1, -1, -1):
            if marks[number].key in known:
                return request.ends[number]
        return 0

    def keep(self, request: Request) -> None:
        """Keep a prompt, in the place of the same conversation's last one."""
        session = request.session.number
        old = self._entries.pop(session, None)
        if old is None and len(self._entries) >= self._room:
            _, old = self._entries.popitem(last=False)
        self._entries[session] = request
        for mark in request.marks:
            self._marks[mark.key] = self._marks.get(mark.key, 0) + 1
        for mark in old.marks if old is not None else ():
            left = self._marks[mark.key] - 1
            if left:
                self._marks[mark.key] = left
            else:
                del self._marks[mark.key]


class Backend:
    """One llama-server. ``line`` is its own queue, for policies that do not wait outside."""

    def __init__(self, index: int, slots: int, prefill: float, decode: float, memory: int) -> None:
        self.index = index
        self.slots = slots
        self.prefill = prefill
        self.decode = decode
        self.busy = 0
        self.line: deque[Request] = deque()
        self.cache = Cache(slots + memory)
        self.reads_until = 0.0
        self.ends: list[float] = []  # of the running requests, earliest first
        self.served = 0

    @property
    def in_flight(self) -> int:
        return self.busy + len(self.line)

    def start(self, request: Request, now: float) -> None:
        """Give a request a slot and find out when it ends."""
        self.busy += 1
        self.served += 1
        request.backend = self.index
        request.started = now
        request.cached = min(self.cache.match(request), request.tokens - 1)
        self.reads_until = max(self.reads_until, now) + (
            (request.tokens - request.cached) / self.prefill
        )
        request.first = self.reads_until
        request.ended = request.first + request.output / self.decode
        self.cache.keep(request)
        heapq.heappush(self.ends, request.ended)

    def end(self) -> None:
        """Free the slot that ends now."""
        heapq.heappop(self.ends)
        self.busy -= 1

    def first_at(self, request: Request, now: float) -> float:
        """Return when a request's first token would come: what only an oracle knows."""
        ahead = len(self.line)
        free = now
        if self.busy + ahead >= self.slots:
            ends = sorted(self.ends)
            free = ends[min(ahead, len(ends) - 1)]
            free += sum(r.output / self.decode for r in self.line) / self.slots * (ahead > 0)
        unread = sum(r.tokens - self.cache.match(r) for r in self.line)
        reading = request.tokens - self.cache.match(request) + unread
        return max(free, self.reads_until) + reading / self.prefill


class Clock:
    """Events in the order of their times."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, action))

    def step(self) -> bool:
        """Run the next event; False when there is none."""
        if not self._events:
            return False
        self.now, _, action = heapq.heappop(self._events)
        action()
        return True
