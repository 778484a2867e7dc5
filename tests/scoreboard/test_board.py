import os
import struct
import subprocess
import sys
import tempfile

import pytest

from multiproxy.errors import ScoreboardMismatch
from multiproxy.scoreboard import (
    BackendRow,
    BackendState,
    Finished,
    Phase,
    Running,
    Scoreboard,
    WorkerState,
    layout,
)

WORKER = """
import sys
from multiproxy.scoreboard import *
board = Scoreboard.attach(int(sys.argv[1]))
assert board.backends.state(1) is BackendState.UP and board.backends.facts(1) == b"{}"
row = board.workers[5]
row.begin(pid=4242, generation=3)
row.state = WorkerState.SERVING
row.connections = 8
board.load.add(5, 1, 2)
table = board.live[5]
table.write(table.claim(), Running("abcdefabcdef", Phase.DECODING, 1, 1, 1, backend=1))
for number in range(20_000):
    board.ring(5).append(Finished(
        str(number).zfill(12), "chat", "openai", True, 200, "--", "", str(number) * 12, "", 1, 1,
        "", "", "", str(number), number, total_ns=number, bytes_out=number))
    if number == 1_000:
        print("half", flush=True)
        sys.stdin.readline()
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def worker(board):
    board.backends.write(1, BackendRow(BackendState.UP, 4, 0, 0, 0, 0, 0, 0))
    board.backends.write_facts(1, b"{}")
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(board.fd)],
        pass_fds=(board.fd,),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"half\n"
    with process:
        yield process
        process.kill()


def whole(record, number):
    text = str(number)
    return (
        record.request_id == text.zfill(12)
        and record.model_asked == (text * 12)[:64]
        and record.started_unix_ns == record.bytes_out == number
        and record.finish_reason == text
    )


def test_two_processes_share_one_board_and_no_record_is_ever_torn(board, worker):
    assert board.workers[5].pid == 4242
    assert board.lowest_connections() == 8
    assert board.load.in_flight(1) == 2
    assert [r.request_id for r in board.live[5].rows()] == ["abcdefabcdef"]
    worker.stdin.write(b"go\n")
    worker.stdin.flush()
    cursor = seen = lost = 0
    while cursor < 20_000:
        records, cursor, missed = board.ring(5).read(cursor, limit=4_096)
        assert all(whole(record, record.total_ns) for record in records)
        seen += len(records)
        lost += missed
    assert seen + lost == 20_000
    assert seen >= 4_095


def test_the_numbers_of_a_killed_worker_survive_until_it_is_buried(board, worker):
    worker.kill()
    worker.wait()
    assert board.workers[5].state is WorkerState.SERVING
    assert board.load.in_flight(1) == 2
    board.bury(5)
    assert board.workers[5].state is WorkerState.FREE
    assert (board.lowest_connections(), board.load.in_flight(1), board.live[5].rows()) == (0, 0, [])
    assert len(board.ring(5).read(0, limit=4_096)[0]) == 1_001


def test_another_version_is_refused_with_both_numbers(board):
    struct.pack_into("=I", board._memory, 8, 99)
    both = rf"layout version 99 .* expects version {layout.VERSION} "
    with pytest.raises(ScoreboardMismatch, match=both):
        Scoreboard.attach(board.fd)


@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_a_descriptor_of_something_else_is_refused(content):
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        with pytest.raises(ScoreboardMismatch, match="is not a scoreboard"):
            Scoreboard.attach(file.fileno())


def test_a_plain_file_serves_where_there_is_no_memfd(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    board = Scoreboard.create()
    other = Scoreboard.attach(os.dup(board.fd))
    board.load.add(0, 0, 1)
    assert other.load.in_flight(0) == 1
    board.close()
    other.close()


def test_sections_do_not_overlap_and_name_their_writer():
    for before, after in zip(layout.SECTIONS, layout.SECTIONS[1:], strict=False):
        assert before.end <= after.offset
        assert after.offset % layout.PAGE == 0
    assert all(section.writer for section in layout.SECTIONS)
    assert layout.RING.end <= layout.SIZE


def test_closing_twice_is_fine_and_the_memory_stays_with_its_users(board):
    table = board.live[0]
    board.close()
    board.close()
    slot = table.claim()
    table.write(slot, Running("abcdefabcdef", Phase.QUEUED, 1, 1, 1))
    assert len(table.rows()) == 1


def test_records_of_finished_exchanges_survive_the_next_worker_in_the_row(board):
    board.ring(5).append(
        Finished("a" * 12, "", "", False, 200, "--", "", "", "", 0, 1, "", "", "", "", 0)
    )
    board.bury(5)
    board.workers[5].begin(pid=2, generation=2)
    assert [r.request_id for r in board.ring(5).read(0)[0]] == ["a" * 12]
