"""What DNS says of the backends that are found by it, asked again whenever an answer has expired.

One task for each name. An answer without servers and no answer at all change nothing: servers that
are gone are seen by their probes, and a name server that is down must not take them all away.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable

from multiproxy.config import Url
from multiproxy.config.discovered import Place
from multiproxy.supervisor.dns_message import Type
from multiproxy.supervisor.log import Log
from multiproxy.supervisor.resolver import (
    CannotResolve,
    Settings,
    addresses,
    services,
    system_settings,
)

LEAST_S = 1.0  # between two questions for one name, however short its time to live
MOST_S = 60.0
AGAIN_S = 5.0  # after no answer, or one without servers

Resolve = Callable[[Url], Awaitable[tuple[frozenset[Place], float]]]


class Discovery:
    """``places`` by URL. ``has_changed`` is true after each change, until ``taken``."""

    def __init__(self, log: Log, resolve: "Resolve | None" = None) -> None:
        self.places: dict[Url, tuple[Place, ...]] = {}
        self.has_changed = False
        self._log = log
        self._resolve = resolve or find
        self._tasks: dict[Url, asyncio.Task[None]] = {}
        self._asked: dict[Url, asyncio.Event] = {}  # set by the first answer, or the lack of it
        self._troubles: dict[Url, str] = {}

    def follow(self, urls: Iterable[Url]) -> None:
        """Ask for exactly these from now on."""
        wanted = set(urls)
        for url in self._tasks.keys() - wanted:
            self._tasks.pop(url).cancel()
            self.places.pop(url, None)
            self._troubles.pop(url, None)
            del self._asked[url]
        for url in wanted - self._tasks.keys():
            self._asked[url] = asyncio.Event()
            self._tasks[url] = asyncio.create_task(self._watch(url))

    async def first(self, limit_s: float) -> None:
        """Wait until every name was asked for once, ``limit_s`` at most."""
        try:
            async with asyncio.timeout(limit_s):
                for event in list(self._asked.values()):
                    await event.wait()
        except TimeoutError:
            pass

    def taken(self) -> None:
        """The places are in use."""
        self.has_changed = False

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, url: Url) -> None:
        while True:
            pause_s = AGAIN_S
            try:
                found, ttl_s = await self._resolve(url)
                if found:
                    pause_s = min(max(ttl_s, LEAST_S), MOST_S)
                    self._learn(url, found)
                else:
                    self._trouble(url, f"{url.host} has no servers in DNS")
            except CannotResolve as error:
                self._trouble(url, str(error))
            except Exception:
                # A bug met by one odd answer must not end the watch over it.
                self._log.error(f"looking up {url.host} failed: {traceback.format_exc()}")
            self._asked[url].set()
            await asyncio.sleep(pause_s)

    def _learn(self, url: Url, found: frozenset[Place]) -> None:
        if self._troubles.pop(url, ""):
            self._log.info(f"{url.host} is found again")
        places = tuple(sorted(found))
        before = self.places.get(url, ())
        if places == before:
            return
        self.places[url] = places
        self.has_changed = True
        count = len(places)
        self._log.info(
            f"{url.host} is {count} server{'' if count == 1 else 's'}: "
            + ", ".join(place.host for place in places)
        )

    def _trouble(self, url: Url, reason: str) -> None:
        """Say it once; the places stay what they were."""
        if self._troubles.get(url) != reason:
            self._troubles[url] = reason
            self._log.warning(reason)


async def find(
    url: Url, read: Callable[[], Settings] = system_settings
) -> tuple[frozenset[Place], float]:
    """Where the servers of ``url`` are, and for how many seconds that holds.

    Raises:
        CannotResolve
    """
    settings = read()
    if url.found_by == "dns":
        found = await addresses(url.host, settings)
        return frozenset(Place(each.host, url.port) for each in found.records), found.ttl_s
    listed = await services(url.host, settings)
    places: set[Place] = set()
    ttl_s = listed.ttl_s
    for record in listed.records:
        assert record.type is Type.SRV
        hosts = await addresses(f"{record.host}.", settings)
        places.update(Place(each.host, record.port) for each in hosts.records)
        if hosts.records:
            ttl_s = min(ttl_s, hosts.ttl_s)
    return frozenset(places), ttl_s
