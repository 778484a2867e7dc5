"""The overload ladder: what a worker sheds, step by step, before the kernel ends it for memory.

Above 80 % of its share idle clients are asked to leave, above 90 % requests are refused while
others run, above 95 % clients that do not take their answers are cut, those with most of it
first. A worker that runs nothing refuses nobody: there is nothing that would be saved.
"""

from collections.abc import Callable

from multiproxy._http.service import Service
from multiproxy.scoreboard import Pressure, WorkerRow

STEPS = ((0.95, Pressure.CUTTING), (0.90, Pressure.REFUSING), (0.80, Pressure.CLOSING))
LEAST_ROOM = 64 << 20  # bytes above those of an idle worker, however little there is to share
CUT_AT_ONCE = 16  # clients per look: what is freed shows at the next one


class Ladder:
    """``share`` bytes for this worker; ``look`` at it several times a second."""

    def __init__(
        self, service: Service, row: WorkerRow, share: int | None, held: Callable[[], int]
    ) -> None:
        self._service = service
        self._row = row
        self._held = held
        self._most = max(share, held() + LEAST_ROOM) if share is not None else None

    def look(self) -> None:
        """Read the memory, write it down, and do what its step asks for."""
        self._row.memory = held = self._held()
        pressure = self._pressure(held)
        self._row.pressure = pressure
        self._service.crowded = pressure >= Pressure.CLOSING
        self._service.room.shut = pressure >= Pressure.REFUSING
        if pressure >= Pressure.CLOSING:
            for connection in list(self._service.connections):
                connection.drain()
        if pressure >= Pressure.CUTTING:
            self._cut()

    def _pressure(self, held: int) -> Pressure:
        if self._most is None:
            return Pressure.NONE
        steps = (step for share, step in STEPS if held >= share * self._most)
        return next(steps, Pressure.NONE)

    def _cut(self) -> None:
        slow = [each for each in self._service.connections if each.is_slow]
        slow.sort(key=lambda each: each.untaken, reverse=True)
        for connection in slow[:CUT_AT_ONCE]:
            connection.give_up()
