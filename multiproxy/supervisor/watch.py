"""All probes: one task for each backend that some generation of workers knows."""

import asyncio
import traceback

from multiproxy.config import Url
from multiproxy.scoreboard import BackendRow, BackendState, Scoreboard
from multiproxy.supervisor.backend_rows import Row
from multiproxy.supervisor.log import Log
from multiproxy.supervisor.probes import Probe, Process


class Watch:
    """Probes by row index."""

    def __init__(self, board: Scoreboard, log: Log) -> None:
        self._board = board
        self._log = log
        self._probes: dict[int, Probe] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self.is_panic = False  # more than half of the backends rest

    def start(self, row: Row, url: Url, process: Process | None = None) -> None:
        """Watch a row; one that is watched already only gets its new settings.

        ``process`` is that of a server of our own, which is asked only while it runs.
        """
        if row.index not in self._probes:
            self._board.load.forget_backend(row.index)
            probe = Probe(row, url, self._board, self._log, process=process)
            self._probes[row.index] = probe
            self._tasks[row.index] = asyncio.create_task(self._run(probe))

    def stop(self, row: Row) -> None:
        """Stop watching and clear the row for the next backend; an unknown row is fine."""
        task = self._tasks.pop(row.index, None)
        if task is not None:
            task.cancel()
            del self._probes[row.index]
            empty = BackendRow(BackendState.UNCHECKED, 0, 0, 0, 0, 0, 0, 0)
            self._board.backends.write(row.index, empty)
            self._board.backends.write_facts(row.index, b"")
            self._board.backends.write_trust(row.index, 0, 0)

    def tick(self) -> None:
        """Have those probed at once of which a worker reported a failure."""
        for probe in self._probes.values():
            probe.tick()
        resting = sum(probe.resting.is_resting for probe in self._probes.values())
        if (2 * resting > len(self._probes)) is not self.is_panic:
            self.is_panic = not self.is_panic
            if self.is_panic:
                self._log.warning(self.panic)
            else:
                self._log.info("most backends answer again")

    @property
    def panic(self) -> str:
        """What is wrong with most of the backends, in words; empty when nothing is."""
        if not self.is_panic:
            return ""
        return (
            "connections to more than half of the backends keep failing: "
            "requests go to them all the same"
        )

    def get(self, index: int) -> Probe | None:
        return self._probes.get(index)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, probe: Probe) -> None:
        while True:
            try:
                await probe.run()
            except Exception:
                # A bug met by one backend's odd answer must not end the watch over it.
                self._log.error(f"probe of {probe.row.id} failed: {traceback.format_exc()}")
                await asyncio.sleep(5.0)
