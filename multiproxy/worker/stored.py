"""The stored responses that all workers of a host share, off the loop.

The file lives in memory where the system has such a place, is readable by this user only,
and goes with the supervisor. One thread per worker talks to it.
"""

import asyncio
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from multiproxy.dialects.responses_record import record
from multiproxy.dialects.responses_request import References, ResponsesTurn
from multiproxy.dialects.responses_store import Item, ResponseStore
from multiproxy.errors import InvalidRequest, NotFound, ProxyError

T = TypeVar("T")

# Another worker may still be writing what its client has just been sent. What a client makes
# up costs it these pauses, but not what cannot be ours.
PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
_OURS = re.compile(r"[a-z]+_[0-9a-f]{32}[0-9]*")
_NOT_YET = frozenset(("response_not_found", "previous_response_not_found"))


class Stored:
    """The store of one worker; ``path`` is empty when responses are not kept.

    ``owner`` is the name of the client's key, empty without keys: nobody sees another
    owner's responses.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._store: ResponseStore | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stored-responses")

    @property
    def is_open(self) -> bool:
        """Whether responses are kept at all."""
        return bool(self._path)

    async def resolve(
        self, owner: str, wanted: References
    ) -> tuple[list[Item], Mapping[str, Item]]:
        """Return the items before this turn, and those that are only named.

        Raises:
            ProxyError: a response or item is unknown, expired or somebody else's.
        """
        if not wanted.previous_response_id and not wanted.item_ids:
            return [], {}
        if not self._path:
            raise InvalidRequest(
                "Previous responses are not stored on this server: send the whole conversation.",
                param="previous_response_id",
                code="previous_response_not_found",
            )

        def look(store: ResponseStore, now: float) -> tuple[list[Item], Mapping[str, Item]]:
            chain: list[Item] = []
            if wanted.previous_response_id:
                chain = store.chain(owner, wanted.previous_response_id, now)
            return chain, store.items(owner, wanted.item_ids, now)

        def lacks(found: tuple[list[Item], Mapping[str, Item]]) -> bool:
            missing = wanted.item_ids and set(wanted.item_ids) - found[1].keys()
            return any(_OURS.fullmatch(item_id) for item_id in missing)

        return await self._patiently(look, lacks)

    async def keep(self, turn: ResponsesTurn, response: Mapping[str, Any], owner: str) -> None:
        """Keep a finished turn. A full disk costs the stored response, not the answer."""
        try:
            await self._do(lambda store, now: store.put(record(turn, response, owner), now))
        except Exception as error:
            traceback.print_exception(error, file=sys.stderr)

    async def get(self, owner: str, response_id: str) -> dict[str, Any]:
        """Return the response object."""
        return await self._patiently(lambda store, now: store.get(owner, response_id, now))

    async def delete(self, owner: str, response_id: str) -> dict[str, Any]:
        """Forget a response; returns what the API answers."""
        return await self._patiently(lambda store, now: store.delete(owner, response_id, now))

    async def input_items(
        self, owner: str, response_id: str, query: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return one page of a response's input items."""
        limit = query.get("limit", "20")
        number = int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 6 else -1

        def look(store: ResponseStore, now: float) -> dict[str, Any]:
            return store.input_items(
                owner,
                response_id,
                now,
                limit=number,
                after=query.get("after"),
                order=query.get("order", "desc"),
            )

        return await self._patiently(look)

    def close(self) -> None:
        """Close the file, once nobody asks any more."""
        self._thread.shutdown(wait=True)
        if self._store is not None:
            self._store.close()

    async def _patiently(
        self,
        work: Callable[[ResponseStore, float], T],
        lacks: Callable[[T], bool] = lambda found: False,
    ) -> T:
        """Do ``work`` again while it finds nothing, or ``lacks`` something."""
        for pause_s in PAUSES_S:
            try:
                found = await self._do(work)
                if not lacks(found):
                    return found
            except ProxyError as error:
                if error.code not in _NOT_YET:
                    raise
            await asyncio.sleep(pause_s)
        return await self._do(work)

    async def _do(self, work: Callable[[ResponseStore, float], T]) -> T:
        if not self._path:
            raise NotFound("Responses are not stored on this server.")

        def run() -> T:
            if self._store is None:
                self._store = ResponseStore(self._path)
            return work(self._store, time.time())

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)
