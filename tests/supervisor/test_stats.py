from multiproxy.scoreboard import Finished, layout
from multiproxy.supervisor.stats import Stats

SECOND = 1_000_000_000


def finished(name, started_s=0, total_s=0):
    return Finished(
        name, "chat", "openai", True, 200, "--", "", "m", "m", 0, 1, "", "", "", "stop",
        started_s * SECOND, total_ns=total_s * SECOND,
    )  # fmt: skip


def names(stats):
    return [x.id for x in stats.recorder.finished]


def test_records_of_all_workers_are_collected_once_in_the_order_of_their_ends(board):
    stats = Stats(board, "backend-{}".format)
    board.ring(0).append(finished("a", 100, 9))
    board.ring(0).append(finished("b", 105, 8))
    board.ring(63).append(finished("c", 101, 10))
    assert [x.id for x in stats.collect()] == ["a", "c", "b"]
    assert stats.collect() == []
    assert [x.ended_at for x in stats.recorder.finished] == [109.0, 111.0, 113.0]
    assert stats.recorder.finished[0].backend == "backend-0"
    assert (stats.total, stats.lost) == (3, 0)


def test_what_was_finished_before_the_start_is_not_new(board):
    board.ring(0).append(finished("old"))
    stats = Stats(board, "backend-{}".format)
    board.ring(0).append(finished("new"))
    stats.collect()
    assert names(stats) == ["new"]


def test_records_that_were_overwritten_are_counted(board):
    stats = Stats(board, "backend-{}".format)
    for number in range(layout.RING_RECORDS + 99):
        board.ring(5).append(finished(str(number)))
    stats.collect()
    assert stats.lost == 100
    assert (stats.total, names(stats)[0]) == (layout.RING_RECORDS - 1, "100")


def test_only_the_newest_are_kept(board, monkeypatch):
    stats = Stats(board, "backend-{}".format)
    for chunk in range(3):
        for number in range(4_000):
            board.ring(0).append(finished(str(chunk * 4_000 + number)))
        stats.collect()
    assert (len(stats.recorder.finished), names(stats)[-1], stats.total) == (8_192, "11999", 12_000)


def test_records_that_are_part_of_a_trace_are_handed_on(board):
    seen = []
    stats = Stats(board, "backend-{}".format, lambda record, x: seen.append((record.trace, x.id)))
    board.ring(0).append(finished("a"))
    traced = finished("b")
    traced.trace = bytes(25)
    board.ring(3).append(traced)
    stats.collect()
    assert seen == [(bytes(25), "b")]
    assert sorted(names(stats)) == ["a", "b"]
