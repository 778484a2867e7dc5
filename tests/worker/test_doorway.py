import asyncio
import errno
import socket

import pytest
from worker.workplace import Workplace

from multiproxy.config import Limits
from multiproxy.scoreboard import WorkerState
from multiproxy.worker.doorway import ACCEPT_RETRY_S, BALANCE_PAUSE_S, BALANCE_SLACK


class Door:
    """A listener that counts, and a worker that does not wait."""

    def __init__(self, workplace: Workplace, listener: socket.socket) -> None:
        self.workplace = workplace
        self.worker = workplace.worker
        self.address = listener.getsockname()
        self.pauses: list[float] = []
        self.doorway = workplace.worker._doorway
        self.doorway._listener = listener
        listener.setblocking(False)
        self.doorway._pause = self.pauses.append  # type: ignore[method-assign]
        self.clients: list[socket.socket] = []

    def holding(self, mine: int, others: int) -> None:
        """This worker holds so many connections, and the only other one so many."""
        row = self.worker.row
        row.state = WorkerState.SERVING
        row.connections = mine
        self.workplace.board.workers[1].state = WorkerState.SERVING
        self.workplace.board.workers[1].connections = others
        self.worker._service.connections.clear()
        self.worker._service.connections.update(range(mine))  # type: ignore[arg-type]

    async def knock(self) -> bool:
        """Whether a client that connects is let in at once."""
        before = self.doorway.accepted
        self.clients.append(socket.create_connection(self.address))
        self.doorway._accept()
        await asyncio.sleep(0)
        return self.doorway.accepted > before


@pytest.mark.parametrize(
    ("mine", "others", "let_in"),
    [
        (0, 0, True),
        (BALANCE_SLACK, 0, True),
        (BALANCE_SLACK + 1, 0, False),
        (BALANCE_SLACK + 1, 1, True),
        (50, 50 - BALANCE_SLACK, True),
        (50, 50 - BALANCE_SLACK - 1, False),
    ],
)
async def test_a_worker_that_has_far_more_connections_lets_others_accept(
    staff, listener, mine, others, let_in
):
    workplace, _ = await staff()
    door = Door(workplace, listener)
    door.holding(mine, others)
    assert await door.knock() is let_in
    assert door.pauses == ([] if let_in else [BALANCE_PAUSE_S])
    door.worker._service.connections = {
        each for each in door.worker._service.connections if not isinstance(each, int)
    }
    for client in door.clients:
        client.close()


async def test_the_limit_of_connections_holds(staff, listener):
    workplace, _ = await staff(config={"limits": Limits(connections=3)})
    door = Door(workplace, listener)
    door.holding(2, 2)
    assert await door.knock() is True
    door.holding(3, 3)
    assert await door.knock() is False
    assert door.pauses == [ACCEPT_RETRY_S]
    for client in door.clients:
        client.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_running_out_of_descriptors_is_waited_out(staff, number):
    workplace, _ = await staff()

    class Exhausted:
        def accept(self) -> None:
            raise OSError(number, "out of them")

    pauses: list[float] = []
    doorway = workplace.worker._doorway
    doorway._listener = Exhausted()
    doorway._pause = pauses.append
    doorway._accept()
    assert pauses == [ACCEPT_RETRY_S]
