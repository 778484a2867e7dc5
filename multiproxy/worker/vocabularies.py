"""Whether the backends' tokenizers keep what the context check relies on: no token without a byte.

Byte-level vocabularies do; one that normalises what it reads may make many tokens of one
character. Every llama-server is asked once, with texts that show it, as soon as it is up and
again when it serves other models. One that cannot be asked is believed: its engine refuses what
does not fit, as it would anyway.
"""

from typing import TYPE_CHECKING

from multiproxy.dialects import count as counting
from multiproxy.dialects.request import encoded
from multiproxy.errors import BackendError
from multiproxy.routing.table import Route
from multiproxy.routing.window import AWKWARD, is_bounded
from multiproxy.scoreboard import BackendState
from multiproxy.worker import tasks
from multiproxy.worker.asking import ask
from multiproxy.worker.backends import Backend

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

TIMEOUT_S = 5.0


class Vocabularies:
    """What one worker found out."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._version = -1
        self._asked: dict[int, tuple[str, ...]] = {}  # backend -> the models that it served then
        self._unbounded: set[int] = set()

    def prove(self, route: Route) -> bool:
        """Whether a prompt's bytes bound its tokens at all backends of a route."""
        return self._unbounded.isdisjoint(route.candidates)

    def look(self) -> None:
        """Ask who has to be asked; cheap when the board did not change."""
        worker = self._worker
        board = worker.board.backends
        if board.version == self._version:
            return
        self._version = board.version
        for index, backend in worker.backends.by_index.items():
            facts = worker.backends.facts.get(index, {})
            # A sleeping server would load its model for this, and so would a router.
            if board.state(index) is not BackendState.UP or facts.get("router"):
                continue
            models = tuple(model["id"] for model in facts.get("models", ()))
            if facts.get("kind") == "llama.cpp" and self._asked.get(index) != models:
                self._asked[index] = models
                tasks.start(self._ask(backend))

    async def _ask(self, backend: Backend) -> None:
        is_kept = True
        try:
            for text in AWKWARD:
                body = encoded(counting.tokenizing_body(text))
                status, answer = await ask(
                    backend, b"/tokenize", body, f"req_{self._worker.new_id()}", TIMEOUT_S
                )
                if status != 200:
                    break
                is_kept = is_kept and is_bounded(text, counting.read_count(answer))
        except BackendError:
            self._asked.pop(backend.index, None)  # at the next change of the board
        (self._unbounded.discard if is_kept else self._unbounded.add)(backend.index)
