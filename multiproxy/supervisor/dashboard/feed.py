"""The live stream: one render per tick for all viewers, each is sent only what changed for it.

A viewer's *look* (page, filters, time zone) decides what it sees; equal looks share every
render. The first messages of a stream are ``mp:hello`` and all fragments of its page, because a
browser drops the stream while its tab is hidden. Later ticks carry the fragments whose text
differs from what this viewer got last.

A slow viewer costs one waiting message: a tick that finds the last one not yet taken is
dropped and the seat marked dirty, and the next tick that finds it free sends everything. With
no viewers nothing is rendered.

Wire format: an unnamed event holds ``<hx-partial>`` elements that htmx morphs into the page; a
named one (``mp:hello``, ``mp:toast``, ``mp:bye``) becomes a DOM event. Source: WHATWG HTML 9.2.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

log = logging.getLogger("multiproxy.dashboard")

FAST_TICK_S = 0.25
TICKS_PER_ROUND = 4  # everything is rendered once a second, fast fragments on every tick
KEEP_ALIVE_S = 15.0
MAX_SEATS = 32

KEEP_ALIVE = b": keep-alive\n\n"
RETRY = b"retry: 1000\n\n"


@dataclass(frozen=True, slots=True)
class Look:
    """What one viewer looks at. ``zone`` is a name of the time zone database, "" the server's."""

    page: str
    query: tuple[tuple[str, str], ...] = ()
    zone: str = ""


# Renders the fragments of one look, HTML by name; only the fast ones when the flag is set.
Render = Callable[[Look, bool], Mapping[str, str]]

# Begins a tick: all its looks are rendered from one state of the system.
Begin = Callable[[], Render]


def event(name: str, data: Mapping[str, object]) -> bytes:
    """A named event with JSON, which never contains a line break."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def partials(fragments: Mapping[str, str], event_id: str) -> bytes:
    """An unnamed event that replaces the content of the elements with these ids."""
    html = "".join(
        f'<hx-partial hx-target="#{name}" hx-swap="innerMorph">{content}</hx-partial>'
        for name, content in fragments.items()
    )
    # splitlines() would also cut at U+2028 and the like, which are text here; a carriage
    # return ends a line for the receiver, so it must not be left inside one.
    lines = html.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join([f"id: {event_id}", *(f"data: {line}" for line in lines), "", ""]).encode()


class FeedFull(Exception):
    """All seats are taken; the page goes on without a stream."""


class LiveSeat:
    """One viewer. ``next`` is called by its connection, everything else by the feed."""

    def __init__(self, feed: "Feed", look: Look, keep_alive_s: float) -> None:
        self.look = look
        self.dirty = True
        self.sent: dict[str, str] = {}  # fragment -> the HTML this viewer has
        self._feed = feed
        self._keep_alive_s = keep_alive_s
        self._waiting: bytes | None = None
        self._changed = asyncio.Event()
        self._ended = False

    def offer(self, message: bytes) -> bool:
        """False: the last message was not taken yet; this one is dropped, the seat dirty."""
        if self._waiting is not None:
            self.dirty = True
            return False
        self._waiting = message
        self._changed.set()
        return True

    @property
    def is_free(self) -> bool:
        return self._waiting is None

    def end(self, last_words: bytes) -> None:
        self._waiting = (self._waiting or b"") + last_words
        self._ended = True
        self._changed.set()

    async def next(self) -> bytes | None:
        if self._waiting is None:
            if self._ended:
                return None
            try:
                async with asyncio.timeout(self._keep_alive_s):
                    await self._changed.wait()
            except TimeoutError:
                return KEEP_ALIVE
        self._changed.clear()
        message, self._waiting = self._waiting, None
        return message

    def close(self) -> None:
        self._feed.leave(self)


class Feed:
    """``identity`` is what ``mp:hello`` tells: boot, assets, version."""

    def __init__(
        self,
        begin: Begin,
        identity: Mapping[str, str],
        *,
        tick_s: float = FAST_TICK_S,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self.identity = identity
        self._begin = begin
        self._tick_s = tick_s
        self._keep_alive_s = keep_alive_s
        self._seats: list[LiveSeat] = []
        self._occupied = asyncio.Event()
        self._ticks = 0
        self._announced = b""

    def __len__(self) -> int:
        return len(self._seats)

    def join(self, look: Look) -> LiveSeat:
        """A new seat with its greeting and the whole page waiting.

        Raises:
            FeedFull: ``MAX_SEATS`` viewers are there already.
        """
        if len(self._seats) >= MAX_SEATS:
            raise FeedFull
        seat = LiveSeat(self, look, self._keep_alive_s)
        fragments = self._begin()(look, False)
        seat.offer(RETRY + event("mp:hello", self.identity) + partials(fragments, self._id()))
        seat.sent = dict(fragments)
        seat.dirty = False
        self._seats.append(seat)
        self._occupied.set()
        return seat

    def leave(self, seat: LiveSeat) -> None:
        if seat in self._seats:
            self._seats.remove(seat)
        if not self._seats:
            self._occupied.clear()

    async def run(self) -> None:
        """Ticks for ever while somebody looks; the owner cancels it."""
        while True:
            await self._occupied.wait()
            await asyncio.sleep(self._tick_s)
            self.tick()

    def tick(self) -> None:
        """Renders every look once and gives each seat what changed for it."""
        self._ticks += 1
        fast_only = self._ticks % TICKS_PER_ROUND != 0
        rendered: dict[Look, Mapping[str, str]] = {}
        messages: dict[tuple[Look, tuple[str, ...]], bytes] = {}
        render = self._begin()
        announced, self._announced = self._announced, b""
        for seat in self._seats:
            if seat.dirty and (fast_only or not seat.is_free):
                continue  # only a full round can make it whole again
            look = seat.look
            if look not in rendered:
                rendered[look] = self._try(render, look, fast_only)
            fragments = rendered[look]
            changed = tuple(
                name
                for name, html in fragments.items()
                if seat.dirty or seat.sent.get(name) != html
            )
            key = (look, changed)
            if key not in messages:
                html = partials({n: fragments[n] for n in changed}, self._id()) if changed else b""
                messages[key] = announced + html
            if messages[key] and seat.offer(messages[key]):
                seat.sent.update((name, fragments[name]) for name in changed)
                seat.dirty = False

    def _try(self, render: Render, look: Look, fast_only: bool) -> Mapping[str, str]:
        try:
            return render(look, fast_only)
        except Exception:  # a page that cannot be drawn now must not end every stream
            log.exception("the live feed could not render %s", look.page)
            return {}

    def announce(self, name: str, data: Mapping[str, object]) -> None:
        """A named event for every viewer that keeps up, with the next tick."""
        self._announced += event(name, data)

    def close(self) -> None:
        """Ends every stream with ``mp:bye``."""
        for seat in self._seats:
            seat.end(event("mp:bye", {}))

    def _id(self) -> str:
        return f"{self.identity['boot']}-{self._ticks}"


def query_of(query: Mapping[str, str], known: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The part of a query that changes what is seen, in one order, so that equal looks meet."""
    return tuple((name, query[name]) for name in sorted(known) if name in query)
