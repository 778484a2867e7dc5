"""What requests would like, and what their answers teach: joins dialects' prefixes with routing.

One per worker. The table of where prompts went is shared with the other workers, the speeds
of backends are what this worker's own answers showed.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from multiproxy._http.head import RequestHead
from multiproxy.dialects.events import Usage
from multiproxy.dialects.prefix import blocks_of, session_of
from multiproxy.dialects.request import Request
from multiproxy.routing.affinity import Homes, Mark, marks_of
from multiproxy.routing.breaks import NO_BREAK, WORTH, Break, Breaks, shape_of
from multiproxy.routing.recall import Recall, Table, Wish
from multiproxy.routing.table import Route
from multiproxy.worker.endpoints import Endpoint, Kind

if TYPE_CHECKING:
    from multiproxy.worker.lease import Lease

# What generates from a prompt; nothing else has a cache to come back to.
_CACHED = frozenset(("chat", "messages", "responses", "completions", "completion"))
_TURNS = frozenset(("chat", "messages", "responses"))  # what is told message by message
HOMES = 3  # of a conversation's rendezvous order are tried
_MOST_ORDERS = 64  # sets of candidates whose orders are kept
NO_WISH = Wish()


class Wishes:
    """See the module; ``names`` are the backends' ids by index, ``weights`` their weights."""

    def __init__(self, table: Table, names: Mapping[int, str], weights: Mapping[int, int]) -> None:
        self.recall = Recall(table)
        self._breaks = Breaks()
        self._names = names
        self._weights = {index: float(weight) for index, weight in weights.items()}
        self._orders: dict[tuple[int, ...], Homes] = {}

    def of(self, endpoint: Endpoint, head: RequestHead, request: Request, route: Route) -> Wish:
        """Return what a request would like; nothing where there is no choice."""
        if (
            len(route.candidates) < 2
            or endpoint.kind is not Kind.GENERATE
            or endpoint.name not in _CACHED
        ):
            return NO_WISH
        marks = _marks(head, request)
        return self.recall.wish(marks, route.candidates, time.monotonic())

    def key(self, head: RequestHead, request: Request) -> int:
        """Return what names a request's conversation, the same in all of its turns; 0 nothing."""
        marks = _marks(head, request)
        return Wish(marks).key

    def homes(self, wish: Wish, candidates: tuple[int, ...]) -> list[int]:
        """Return the first of a conversation's rendezvous order; none for one that has a place.

        A head that nobody has read yet has a home of its own, which comes first: where it goes
        its other conversations follow, and so every replica has to find the same place.
        """
        if not wish.is_worth_it or any(known.mark for known in wish.known.values()):
            return []
        order = self._orders.get(candidates)
        if order is None:
            if len(self._orders) >= _MOST_ORDERS:
                self._orders.clear()
            names = {index: self._names[index] for index in candidates}
            order = self._orders[candidates] = Homes(names, self._weights)
        homes = order.order(wish.key, HOMES)
        if not wish.known and self.recall.is_worth_it(wish.marks[0]):
            homes = order.order(wish.marks[0].key, 1) + homes
        return homes

    def placed(self, lease: "Lease") -> None:
        """A request goes to a backend."""
        self.recall.placed(lease.wish, lease.backend, lease.began)

    def answered(self, lease: "Lease", usage: Usage | None) -> None:
        """An answer came to its end, and told what its prompt and its text took."""
        if usage is None or usage.prompt <= 0:
            return
        now = time.monotonic()
        pace = self.recall.pace(lease.backend)
        timings = usage.timings or {}
        lease.prefill_s = _seconds(timings.get("prompt_ms"))
        pace.prefilled(usage.prompt - usage.cached, lease.prefill_s)
        pace.decoded(usage.output, _seconds(timings.get("predicted_ms")))
        self.recall.answered(lease.wish, lease.backend, usage.prompt, usage.cached, now)

    def broke(
        self, endpoint: Endpoint, head: RequestHead, request: Request, usage: Usage | None
    ) -> Break:
        """Return where an answered prompt left the turn before; short ones are not looked at."""
        if usage is None or usage.prompt < WORTH or endpoint.name not in _TURNS:
            return NO_BREAK
        session = session_of(head.get, request.data)
        shape = shape_of(session, *blocks_of(request.data, request.prefix))
        return self._breaks.look(shape, usage.prompt, usage.cached)

    def ended(self, lease: "Lease") -> None:
        """A slot is given back."""
        self.recall.pace(lease.backend).held(time.monotonic() - lease.began, lease.prefill_s)

    def failed(self, lease: "Lease") -> None:
        """A backend did not answer: what it was sent is not in its cache."""
        self.recall.failed(lease.wish, lease.backend)


def _marks(head: RequestHead, request: Request) -> list[Mark]:
    prefix = request.prefix
    session = session_of(head.get, request.data)
    return marks_of(session, prefix.head, prefix.sums, prefix.sizes, len(request.raw))


def _seconds(milliseconds: object) -> float:
    is_number = isinstance(milliseconds, int | float) and 0 <= milliseconds < 1e9
    return milliseconds / 1e3 if is_number else 0.0  # type: ignore[operator]
