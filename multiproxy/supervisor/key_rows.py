"""Which key has which row of the shared counters, and for how long.

A key keeps its row, and with it what it has used, while any generation of workers knows its
name, so that a reload forgives nothing. Whose secret it is does not matter: a key that was
replaced by another of the same name goes on with the same counts.
"""

import secrets
from collections.abc import Iterable, Mapping

from multiproxy.scoreboard import KeyUsage
from multiproxy.scoreboard.layout import KEYS


class TooManyKeys(Exception):
    """All rows are taken, some by keys that only draining workers still know."""


class KeyRows:
    """The used rows by name."""

    def __init__(self, usage: KeyUsage) -> None:
        self._usage = usage
        self._replica = secrets.token_hex(4)
        self._rows: dict[str, int] = {}
        self._generations: dict[str, set[int]] = {}
        self._births: dict[str, int] = {}

    def assign(self, names: Iterable[str], generation: int) -> dict[str, int]:
        """Rows for all keys of a new generation; those of keys that are new are emptied.

        Raises:
            TooManyKeys: nothing was changed.
        """
        names = list(names)
        taken = set(self._rows.values())
        free = (index for index in range(KEYS) if index not in taken)
        new: dict[str, int] = {}
        for name in names:
            if name not in self._rows:
                index = next(free, None)
                if index is None:
                    raise TooManyKeys(f"more than {KEYS} keys, those being removed included")
                new[name] = index
        for index in new.values():
            self._usage.forget_key(index)
        self._rows |= new
        self._births |= dict.fromkeys(new, generation)
        for name in names:
            self._generations.setdefault(name, set()).add(generation)
        return {name: self._rows[name] for name in names}

    @property
    def rows(self) -> dict[str, int]:
        """The rows by name."""
        return dict(self._rows)

    @property
    def replica_of(self) -> dict[str, str]:
        """What each key's counts are called among those of all replicas.

        They begin with the key's row, and with each row anew.
        """
        return {name: f"{self._replica}.{birth}" for name, birth in self._births.items()}

    def restore_day(self, day: int, tokens: Mapping[str, int]) -> None:
        """Add what keys used on a day before this program began."""
        for name, used in tokens.items():
            if name in self._rows:
                self._usage.restore_day(self._rows[name], day, used)

    def release(self, generation: int) -> None:
        """Forget an ended generation; rows that no other one knows are free again."""
        for name, generations in list(self._generations.items()):
            generations.discard(generation)
            if not generations:
                del self._generations[name], self._rows[name], self._births[name]
