"""Fixtures that tests of several rooms use."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from multiproxy_process import TRACEBACK, MultiProxyProcess

from multiproxy.scoreboard import Scoreboard

# The same examples in every run, so that a red run has its reason in what changed; ``--full``
# tries new ones. No deadline for an example: the machine may be busy with something else.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("new", deadline=None)

StartMultiProxy = Callable[..., MultiProxyProcess]


@pytest.fixture
def multiproxy_process(tmp_path: Path) -> Iterator[StartMultiProxy]:
    """Start real MultiProxy processes: ``multiproxy_process(config, workers=2)``.

    Each is ready when it is returned, and is ended after the test, which fails when one of them
    wrote a traceback.
    """
    started: list[MultiProxyProcess] = []

    def start(config: dict[str, Any] | str, *, workers: int = 1) -> MultiProxyProcess:
        folder = tmp_path / f"multiproxy-{len(started)}"
        folder.mkdir()
        process = MultiProxyProcess(config, folder, workers=workers)
        started.append(process)
        process.wait_until_ready()
        return process

    yield start
    for process in started:
        process.end()
    logs = [process.log_text() for process in started]
    assert not any(TRACEBACK in log for log in logs), "\n".join(logs)


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    """An empty scoreboard."""
    board = Scoreboard.create()
    yield board
    board.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full",
        action="store_true",
        help="run the long forms of the end-to-end tests (docs/reliability.md has their figures), "
        "and property tests with new examples",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("new" if config.getoption("--full") else "same")


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the long forms were asked for."""
    return bool(request.config.getoption("--full"))
