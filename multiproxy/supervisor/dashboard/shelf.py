"""What pages need from the history, fetched before they are drawn and kept while they are seen.

Drawing never waits, the history is read in a thread. A page is fetched once before its first
drawing; while a live stream goes on drawing it, it is fetched again now and then, since single
requests leave the memory and are found only in the history from then on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.views import FinishedView

log = logging.getLogger("multiproxy.dashboard")

REFRESH_S = 5.0


class Shelf:
    def __init__(self, fetch: Callable[[Look], Awaitable[Sequence[FinishedView]]]) -> None:
        self._fetch = fetch
        self._found: dict[Look, Sequence[FinishedView]] = {}
        self._seen: set[Look] = set()

    def put(self, look: Look, found: Sequence[FinishedView]) -> None:
        """Keep what was fetched for a look."""
        if found:
            self._found[look] = found
        else:
            self._found.pop(look, None)

    def of(self, look: Look) -> Sequence[FinishedView]:
        """What was fetched for it; asking keeps it fresh."""
        self._seen.add(look)
        return self._found.get(look, ())

    async def run(self) -> None:
        """Refresh what is looked at and forget the rest, for ever."""
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.refresh()

    async def refresh(self) -> None:
        seen, self._seen = self._seen, set()
        self._found = {look: found for look, found in self._found.items() if look in seen}
        for look in seen:
            try:
                self.put(look, await self._fetch(look))
            except Exception:  # one page's bad luck; it is tried again
                log.exception("the history could not be read for %s", look.page)
