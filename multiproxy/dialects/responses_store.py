"""Which answered responses a client may still refer to, and how a chain of them is resolved.

The Responses API lets a client send only what is new and name the response it continues.
All workers of a host must know the same responses, so they share one SQLite file: it has
the locking, the atomic write and the bounded memory that a table in shared memory would
need to be given. The file holds conversations: it is made readable for its owner only, and
nothing in it needs to outlive the workers.

This is the one file in this room that does I/O (on that file, nothing else). Its methods
block for as long as SQLite does, so callers use a thread, one call at a time per object.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from multiproxy.errors import InvalidRequest, NotFound

Item = dict[str, Any]
"""An input or output item as the client sees it; has an ``id``."""

_VERSION = 1
_SCHEMA = """
DROP TABLE IF EXISTS responses;
DROP TABLE IF EXISTS items;
CREATE TABLE responses (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, parent TEXT, object BLOB NOT NULL,
    size INTEGER NOT NULL, used REAL NOT NULL
);
CREATE INDEX responses_by_use ON responses (used);
CREATE TABLE items (
    response TEXT NOT NULL, place INTEGER NOT NULL, is_output INTEGER NOT NULL,
    id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (response, place)
) WITHOUT ROWID;
CREATE INDEX items_by_id ON items (id);
"""
_BUSY_TIMEOUT_S = 5.0
_PAGE = 20  # items of one input_items page, and the most a client may ask for
_MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """``size`` is in bytes of JSON; ``age_s`` counts from the last use of a response."""

    responses: int = 256
    size: int = 64 << 20
    age_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One turn: the response object without its output, and the turn's items.

    ``owner`` is the name of the client's key, empty when no keys are configured. ``parent``
    is the response this one continued; together with its ancestors it is the conversation.
    """

    id: str
    owner: str
    parent: str | None
    object: Mapping[str, Any] = field(repr=False)
    input: Sequence[Item] = field(repr=False)
    output: Sequence[Item] = field(repr=False)


class ResponseStore:
    """The responses of all workers that opened the same ``path``.

    An owner never sees another owner's response: it is "not found". ``now`` is in seconds of
    any clock that all workers share.

    Raises:
        sqlite3.Error: the file cannot be read or written (any method).
    """

    def __init__(self, path: str, limits: StoreLimits | None = None) -> None:
        self._limits = limits or StoreLimits()
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite would obey the umask
        self._database = sqlite3.connect(
            path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")  # not meant to survive the host
        with self._transaction() as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        self._database.close()

    def put(self, response: StoredResponse, now: float) -> bool:
        """Keep ``response``; the least recently used ones make room.

        False if it is larger than the whole store may be: then nothing is kept.
        """
        head = orjson.dumps({**response.object, "output": []})
        rows = [
            (response.id, place, is_output, str(item.get("id") or ""), orjson.dumps(item))
            for place, (is_output, item) in enumerate(
                [(0, item) for item in response.input] + [(1, item) for item in response.output]
            )
        ]
        size = len(head) + sum(len(row[4]) for row in rows)
        if size > self._limits.size:
            return False
        with self._transaction() as database:
            self._remove(database, response.id)
            database.execute(
                "INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?)",
                (response.id, response.owner, response.parent, head, size, now),
            )
            database.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows)
            self._evict(database, now)
        return True

    def get(self, owner: str, response_id: str, now: float) -> dict[str, Any]:
        """The whole response object.

        Raises:
            NotFound: unknown, expired, or another owner's.
        """
        with self._transaction("DEFERRED"):
            _, head = self._find(owner, response_id, now)
            output = [body for is_output, body in self._items(response_id) if is_output]
        whole: dict[str, Any] = orjson.loads(head)
        return {**whole, "output": output}

    def delete(self, owner: str, response_id: str, now: float) -> dict[str, Any]:
        """Forget a response; those that continued it cannot be continued any more.

        Raises:
            NotFound: unknown, expired, or another owner's.
        """
        with self._transaction() as database:
            self._find(owner, response_id, now)
            self._remove(database, response_id)
        return {"id": response_id, "object": "response", "deleted": True}

    def chain(self, owner: str, response_id: str, now: float) -> list[Item]:
        """The conversation up to and with ``response_id``: items in and out, oldest first.

        Raises:
            InvalidRequest: it or one of its ancestors is unknown, expired or another owner's.
                Going on without them would silently drop a part of the conversation.
        """
        turns: list[list[Item]] = []
        current: str | None = response_id
        with self._transaction() as database:
            while current is not None:
                try:
                    parent, _ = self._find(owner, current, now)
                except NotFound:
                    raise InvalidRequest(
                        f"Previous response with id '{response_id}' not found.",
                        param="previous_response_id",
                        code="previous_response_not_found",
                    ) from None
                turns.append([body for _, body in self._items(current)])
                # The whole chain counts as used: its old turns must not go before its new ones.
                database.execute("UPDATE responses SET used = ? WHERE id = ?", (now, current))
                current = parent
        return [item for turn in reversed(turns) for item in turn]

    def items(self, owner: str, ids: Sequence[str], now: float) -> dict[str, Item]:
        """The stored items with these ids, as far as this owner has them."""
        found: dict[str, Item] = {}
        for item_id in ids:
            row = self._database.execute(
                "SELECT body FROM items JOIN responses ON responses.id = items.response"
                " WHERE items.id = ? AND owner = ? AND used >= ?",
                (item_id, owner, now - self._limits.age_s),
            ).fetchone()
            if row:
                found[item_id] = orjson.loads(row[0])
        return found

    def input_items(
        self,
        owner: str,
        response_id: str,
        now: float,
        *,
        after: str | None = None,
        limit: int = _PAGE,
        order: str = "desc",
    ) -> dict[str, Any]:
        """A page of the items that the client sent in this turn, newest first by default.

        Raises:
            NotFound: unknown, expired, or another owner's.
            InvalidRequest: ``limit``, ``order`` or ``after`` makes no sense.
        """
        if not 1 <= limit <= _MAX_PAGE:
            raise InvalidRequest(f"limit must be from 1 to {_MAX_PAGE}.", param="limit")
        if order not in ("asc", "desc"):
            raise InvalidRequest("order must be 'asc' or 'desc'.", param="order")
        with self._transaction("DEFERRED"):
            self._find(owner, response_id, now)
            items = [body for is_output, body in self._items(response_id) if not is_output]
        if order == "desc":
            items.reverse()
        if after is not None:
            places = [place for place, item in enumerate(items) if item.get("id") == after]
            if not places:
                raise InvalidRequest(f"No item with id '{after}'.", param="after")
            items = items[places[0] + 1 :]
        page = items[:limit]
        return {
            "object": "list",
            "data": page,
            "first_id": page[0].get("id") if page else None,
            "last_id": page[-1].get("id") if page else None,
            "has_more": len(items) > limit,
        }

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        # IMMEDIATE waits for other workers here instead of failing at the first write.
        self._database.execute(f"BEGIN {kind}")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _find(self, owner: str, response_id: str, now: float) -> tuple[str | None, bytes]:
        row = self._database.execute(
            "SELECT parent, object FROM responses WHERE id = ? AND owner = ? AND used >= ?",
            (response_id, owner, now - self._limits.age_s),
        ).fetchone()
        if row is None:
            raise NotFound(
                f"Response with id '{response_id}' not found.", code="response_not_found"
            )
        return row[0], row[1]

    def _items(self, response_id: str) -> list[tuple[bool, Item]]:
        rows = self._database.execute(
            "SELECT is_output, body FROM items WHERE response = ? ORDER BY place", (response_id,)
        )
        return [(bool(is_output), orjson.loads(body)) for is_output, body in rows]

    def _evict(self, database: sqlite3.Connection, now: float) -> None:
        count = size = 0
        oldest = now - self._limits.age_s
        for response_id, its_size, used in database.execute(
            "SELECT id, size, used FROM responses ORDER BY used DESC, rowid DESC"
        ).fetchall():
            count += 1
            size += its_size
            if used < oldest or count > self._limits.responses or size > self._limits.size:
                self._remove(database, response_id)

    @staticmethod
    def _remove(database: sqlite3.Connection, response_id: str) -> None:
        database.execute("DELETE FROM items WHERE response = ?", (response_id,))
        database.execute("DELETE FROM responses WHERE id = ?", (response_id,))
