"""The overload ladder, with memory that is a number."""

import asyncio

import pytest
from _http.wire_server import ListTransport

from multiproxy._http.guard import Guard
from multiproxy._http.request_body import BodyRoom
from multiproxy._http.server import ClientConnection
from multiproxy._http.service import Limits, Service
from multiproxy.scoreboard import Pressure, Scoreboard
from multiproxy.worker.pressure import CUT_AT_ONCE, LEAST_ROOM, Ladder

MIB = 1 << 20
SHARE = 1_000 * MIB


class Crowd:
    """A worker's connections and its row; ``held`` is the memory it is said to hold."""

    def __init__(self, row, share: int | None = SHARE, held: int = 50 * MIB) -> None:
        self.row = row
        self.held = held
        self.service = Service(
            guard=Guard(),
            limits=Limits(),
            open_exchange=lambda *_: None,  # type: ignore[arg-type,return-value]
            render=lambda *_: (503, b"", b""),
            connections=set(),
            room=BodyRoom(),
        )
        self.ladder = Ladder(self.service, row, share, lambda: self.held)

    def holds(self, share: float) -> Pressure:
        """Look while this share of what it may have is held."""
        self.held = int(share * SHARE)
        self.ladder.look()
        return self.row.pressure

    def client(self, untaken: int = 0) -> ListTransport:
        """One that is connected; ``untaken`` bytes of its answer wait for it."""
        transport = ListTransport()
        connection = ClientConnection(self.service)
        connection.connection_made(transport)
        transport.get_write_buffer_size = lambda: untaken  # type: ignore[method-assign]
        transport.abort = lambda: self._aborted(transport, connection)  # type: ignore[method-assign]
        if untaken:
            connection.pause_writing()
        return transport

    def _aborted(self, transport: ListTransport, connection: ClientConnection) -> None:
        ListTransport.abort(transport)
        self.service.connections.discard(connection)

    def sweep(self, after_s: float) -> None:
        for connection in list(self.service.connections):
            connection.sweep(asyncio.get_running_loop().time() + after_s)


@pytest.fixture
def crowd():
    board = Scoreboard.create()
    yield lambda **given: Crowd(board.workers[0], **given)
    board.close()


@pytest.mark.parametrize(
    ("share", "pressure"),
    [
        (0.799, Pressure.NONE),
        (0.8, Pressure.CLOSING),
        (0.9, Pressure.REFUSING),
        (0.95, Pressure.CUTTING),
        (1.5, Pressure.CUTTING),
    ],
)
async def test_each_share_of_the_memory_has_its_step(crowd, share, pressure):
    place = crowd()
    assert place.holds(share) is pressure
    assert (place.row.memory, place.row.pressure) == (int(share * SHARE), pressure)
    assert place.service.crowded is (pressure >= Pressure.CLOSING)
    assert place.service.room.shut is (pressure >= Pressure.REFUSING)


async def test_everything_is_as_before_once_there_is_memory_again(crowd):
    place = crowd()
    place.holds(0.99)
    assert place.holds(0.5) is Pressure.NONE
    assert not place.service.crowded and not place.service.room.shut


async def test_an_idle_client_is_asked_to_leave_within_a_second(crowd):
    place = crowd()
    idle = place.client()
    place.holds(0.79)
    place.sweep(2)
    assert not idle.closed
    place.holds(0.8)
    place.sweep(2)
    assert idle.closed and not idle.aborted


async def test_those_with_most_untaken_bytes_are_cut_first_and_not_all_at_once(crowd):
    place = crowd()
    reading = place.client()
    slow = [place.client(untaken=1_000 + number) for number in range(CUT_AT_ONCE + 4)]
    place.holds(0.94)
    assert not any(each.aborted for each in slow)
    place.holds(0.95)
    assert [each.aborted for each in slow] == [False] * 4 + [True] * CUT_AT_ONCE
    place.holds(0.95)
    assert all(each.aborted for each in slow)
    assert not reading.aborted


async def test_a_small_share_leaves_room_above_what_an_idle_worker_holds(crowd):
    place = crowd(share=40 * MIB, held=60 * MIB)
    place.ladder.look()
    assert place.row.pressure is Pressure.NONE
    place.held = 60 * MIB + LEAST_ROOM
    place.ladder.look()
    assert place.row.pressure is Pressure.CUTTING


async def test_without_a_share_nothing_is_shed(crowd):
    place = crowd(share=None)
    assert place.holds(9.0) is Pressure.NONE
