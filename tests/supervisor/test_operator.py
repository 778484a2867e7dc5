"""Orders, holds and reloads on a real scoreboard."""

from multiproxy.config import Backend, Url
from multiproxy.scoreboard import BackendState, Phase, Running, Scoreboard
from multiproxy.supervisor.backend_rows import BackendRows
from multiproxy.supervisor.log import Log
from multiproxy.supervisor.operator import Operator
from multiproxy.supervisor.verdict import Standing
from multiproxy.supervisor.watch import Watch


class Desk:
    """An operator of one backend, ``gpu-a``, whose probe sees what the test says."""

    def __init__(self) -> None:
        self.board = Scoreboard.create()
        self.rows = BackendRows()
        backend = Backend("gpu-a", Url("http", "127.0.0.1", 9))
        (self.row,) = self.rows.assign([backend], 1)
        self.rows.make_current([self.row], 1)
        self.log = Log("json")
        self.watch = Watch(self.board, self.log)
        self.watch.start(self.row, backend.url)
        self.probe = self.watch.get(self.row.index)
        self.operator = Operator(self.board, self.rows, self.watch, self.log, self.reload)

    async def reload(self) -> str:
        return "no"

    def sees(self, state: BackendState) -> BackendState:
        """What the workers are told when the probe saw ``state``."""
        self.probe.standing = Standing(state)
        self.probe._write(5, 5)
        return self.board.backends.state(self.row.index)


async def test_a_held_backend_is_draining_until_it_is_resumed():
    desk = Desk()
    assert desk.sees(BackendState.UP) is BackendState.UP
    assert desk.operator.drain("gpu-a")
    assert desk.board.backends.state(desk.row.index) is BackendState.DRAINING
    assert desk.board.backends.read(desk.row.index).checked_ns == 5  # the last look's, still
    assert desk.operator.resume("gpu-a")
    assert desk.board.backends.state(desk.row.index) is BackendState.UP
    await desk.watch.close()


async def test_every_look_finds_it_held_but_a_dead_one_is_shown_dead():
    desk = Desk()
    desk.operator.drain("gpu-a")
    for state in (BackendState.UP, BackendState.SLEEPING, BackendState.LOADING):
        assert desk.sees(state) is BackendState.DRAINING
    assert desk.sees(BackendState.DOWN) is BackendState.DOWN
    assert desk.sees(BackendState.UP) is BackendState.DRAINING
    await desk.watch.close()


async def test_what_happened_is_logged_once():
    desk = Desk()
    for _ in range(2):
        desk.operator.drain("gpu-a")
    desk.operator.resume("gpu-a")
    texts = [event.text for event in desk.log.events]
    assert texts == ["gpu-a drains: 0 running, no new requests", "gpu-a takes requests again"]
    await desk.watch.close()


async def test_a_backend_that_does_not_exist_cannot_be_drained():
    desk = Desk()
    assert not desk.operator.drain("gpu-b")
    assert not desk.operator.resume("gpu-b")
    await desk.watch.close()


async def test_a_running_request_is_cancelled_at_its_worker():
    desk = Desk()
    table = desk.board.live[3]
    table.write(table.claim(), Running("0123456789ab", Phase.DECODING, 1, 1, 1))
    assert desk.operator.cancel("0123456789ab")
    assert desk.board.orders.read(3, 0) == (["0123456789ab"], 1)
    assert not desk.operator.cancel("ffffffffffff")
    assert sum(desk.board.orders.given(worker) for worker in range(64)) == 1
    await desk.watch.close()
