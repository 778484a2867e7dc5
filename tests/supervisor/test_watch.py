"""All probes together: what they say of the fleet."""

import pytest
from supervisor.log_lines import LogLines

from multiproxy.config import Backend, Url
from multiproxy.supervisor.backend_rows import Row
from multiproxy.supervisor.watch import Watch


@pytest.fixture
def log():
    return LogLines()


async def test_when_more_than_half_rest_the_watch_says_so_once(board, log):
    watch = Watch(board, log)
    for index in range(3):
        url = Url("http", "127.0.0.1", 1)
        watch.start(Row(index, Backend(f"gpu-{index}", url)), url)
    for index in (0, 1):
        watch.tick()
        assert watch.panic == ""
        for _ in range(3):
            board.load.failed(0, index, 2**62)
    watch.tick()
    watch.tick()
    assert "requests go to them all the same" in watch.panic
    assert log.lines.count(watch.panic) == 1
    for index in (0, 1):
        watch.get(index).resting.restarted(1)
    watch.tick()
    assert watch.panic == "" and log.lines[-1] == "most backends answer again"
    await watch.close()
