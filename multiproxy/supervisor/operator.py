"""What an operator asks for, carried out: the ``Actions`` of the dashboard."""

from collections.abc import Callable, Coroutine
from typing import Any

from multiproxy.scoreboard import WORKERS, Scoreboard
from multiproxy.supervisor.backend_rows import BackendRows, Row
from multiproxy.supervisor.log import Log
from multiproxy.supervisor.watch import Watch


class Operator:
    """``reload`` reads the configuration again and tells what was wrong with it.

    A drained backend stays so until it is resumed, whatever happens to the workers; a reload
    keeps it drained as long as its address stays.
    """

    def __init__(
        self,
        board: Scoreboard,
        rows: BackendRows,
        watch: Watch,
        log: Log,
        reload: Callable[[], Coroutine[Any, Any, str]],
    ) -> None:
        self.reload = reload
        self._board = board
        self._rows = rows
        self._watch = watch
        self._log = log

    def cancel(self, request_id: str) -> bool:
        for worker in range(WORKERS):
            for running in self._board.live[worker].rows():
                if running.request_id == request_id:
                    self._board.orders.give(worker, request_id)
                    self._log.info(f"request {request_id} is cancelled by an operator")
                    return True
        return False

    def drain(self, backend: str) -> bool:
        return self._hold(backend, True)

    def resume(self, backend: str) -> bool:
        return self._hold(backend, False)

    def _hold(self, backend: str, held: bool) -> bool:
        row = self._row(backend)
        probe = self._watch.get(row.index) if row is not None else None
        if row is None or probe is None:
            return False
        if row.held != held:
            probe.hold(held)
            running = self._board.load.in_flight(row.index)
            word = f"drains: {running} running, no new requests" if held else "takes requests again"
            self._log.info(f"{row.id} {word}")
        return True

    def _row(self, backend: str) -> Row | None:
        return next((row for row in self._rows.current() if row.id == backend), None)
