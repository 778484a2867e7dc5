from multiproxy.scoreboard import Pressure, WorkerState


def serve(board, index, connections):
    row = board.workers[index]
    row.begin(pid=1000 + index, generation=1)
    row.connections = connections
    row.state = WorkerState.SERVING
    return row


def test_lowest_connections_counts_serving_workers_only(board):
    assert board.lowest_connections() == 0
    serve(board, 0, 7)
    busy = serve(board, 63, 5)
    serve(board, 1, 2).state = WorkerState.DRAINING
    board.workers[2].begin(pid=1, generation=1)
    assert board.lowest_connections() == 5
    busy.connections += 4
    assert board.lowest_connections() == 7


def test_a_row_keeps_its_numbers_and_forgets_them_when_the_next_process_begins(board):
    row = serve(board, 3, 9)
    row.accepted += 11
    row.lag_ns, row.log_dropped, row.waiting = 1 << 40, 4, 6
    row.beat(now_ns=1 << 50)
    assert (row.pid, row.generation, row.state) == (1003, 1, WorkerState.SERVING)
    assert (row.accepted, row.lag_ns, row.log_dropped, row.waiting) == (11, 1 << 40, 4, 6)
    assert (row.beat_ns, row.connections) == (1 << 50, 9)
    row.memory, row.pressure = 1 << 33, Pressure.REFUSING
    assert (row.memory, row.pressure) == (1 << 33, Pressure.REFUSING)
    row.begin(pid=77, generation=2)
    assert (row.pid, row.generation, row.state) == (77, 2, WorkerState.STARTING)
    assert (row.accepted, row.connections, row.beat_ns) == (0, 0, 0)
    assert (row.memory, row.pressure) == (0, Pressure.NONE)


def test_rows_do_not_touch_their_neighbours(board):
    for index in range(len(board.workers)):
        serve(board, index, index)
    assert [board.workers[i].connections for i in range(64)] == list(range(64))
    assert [board.workers[i].pid for i in range(64)] == list(range(1000, 1064))
