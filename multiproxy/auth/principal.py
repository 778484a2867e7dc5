"""Whoever a request is from, and what they may do. The key itself is not kept."""

import re
from dataclasses import dataclass, field
from enum import IntEnum

from multiproxy.config import Key, matching
from multiproxy.errors import NotAllowed


class Priority(IntEnum):
    """Who gets a free slot first: the lowest."""

    INTERACTIVE = 0
    NORMAL = 1
    BATCH = 2


@dataclass(frozen=True, slots=True)
class Principal:
    """The owner of a key. ``index`` is the key's row in the shared counters, -1 for none.

    ``max_concurrent`` are generations at once; tokens are those of prompts and outputs. None
    is no limit. ``models`` matches the names of the models they may use, None every name.
    """

    name: str
    index: int = -1
    priority: Priority = Priority.NORMAL
    max_concurrent: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    models: re.Pattern[str] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, key: Key, index: int) -> "Principal":
        """The principal that a key of the configuration makes."""
        return cls(
            key.name,
            index,
            Priority[key.priority.upper()],
            key.max_concurrent,
            key.requests_per_minute,
            key.tokens_per_minute,
            key.tokens_per_day,
            None if "*" in key.models else matching(key.models),
        )

    def may_use(self, model: str) -> bool:
        """Whether the key covers a model; ``model`` is the name that serves, never an alias."""
        return self.models is None or self.models.fullmatch(model) is not None

    def check_model(self, model: str, asked: str | None) -> None:
        """Refuse a model that the key does not cover; the client is told the name it asked for.

        Raises:
            NotAllowed: it does not.
        """
        if not self.may_use(model):
            shown = (asked or model)[:64]
            raise NotAllowed(
                f"This key does not have access to the model `{shown}`.", param="model"
            )


ANYONE = Principal("")  # without keys
