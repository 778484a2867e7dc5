"""A request's place at a backend, from the choice until it is given back."""

import time
from typing import TYPE_CHECKING

from multiproxy.dialects.events import Usage
from multiproxy.routing.recall import Wish
from multiproxy.scoreboard import Choice

if TYPE_CHECKING:
    from multiproxy.worker.placer import Placer


class Lease:
    """One request's place at one backend; given back exactly once.

    ``began`` is monotonic; ``prefill_s`` is known once the answer told it.
    """

    __slots__ = ("_placer", "backend", "began", "choice", "is_answered", "prefill_s", "wish")

    def __init__(self, placer: "Placer", backend: int, choice: Choice, wish: Wish) -> None:
        self._placer: Placer | None = placer
        self.backend = backend
        self.choice = choice  # why it is this one
        self.wish = wish
        self.began = time.monotonic()
        self.prefill_s = 0.0
        self.is_answered = False

    def answered(self, usage: Usage | None) -> None:
        """The answer came to its end: learn from it."""
        self.is_answered = True
        if self._placer is not None:
            self._placer.wishes.answered(self, usage)

    def release(self) -> None:
        """Give the place back. Idempotent."""
        placer, self._placer = self._placer, None
        if placer is not None:
            if self.is_answered:  # a refused connection tells nothing of how long answers take
                placer.wishes.ended(self)
            placer.release(self.backend)
