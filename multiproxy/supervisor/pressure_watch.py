"""Says, once, when a worker runs short of memory, and when it has enough again."""

from multiproxy.scoreboard import WORKERS, Pressure, Scoreboard, WorkerRow, WorkerState
from multiproxy.supervisor.log import Log

MIB = 1 << 20
SHEDS = {
    Pressure.CLOSING: "it keeps no idle connections",
    Pressure.REFUSING: "it refuses requests while others run",
    Pressure.CUTTING: "it refuses requests, and cuts clients that do not take their answers",
}


class PressureWatch:
    """Looks at the rows of all workers; ``tick`` it about every second."""

    def __init__(self, board: Scoreboard, log: Log) -> None:
        self._board = board
        self._log = log
        self._told: dict[int, Pressure] = {}  # by row

    def tick(self) -> None:
        for index in range(WORKERS):
            row = self._board.workers[index]
            now = row.pressure if row.state is WorkerState.SERVING else Pressure.NONE
            before = self._told.pop(index, Pressure.NONE)
            if now is not Pressure.NONE:
                self._told[index] = max(before, now)
            if now > before:
                self._log.warning(problem(row))
            elif before is not Pressure.NONE and now is Pressure.NONE:
                self._log.info(f"worker {index} has memory again")


def problem(row: WorkerRow) -> str:
    """What a worker that is short of memory does, in words; empty for one that is not."""
    sheds = SHEDS.get(row.pressure, "")
    held = f"{row.memory / MIB:.0f} MiB"
    return f"worker {row.index} is short of memory (holds {held}): {sheds}" if sheds else ""
