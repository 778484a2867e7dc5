"""An arena for each test, and where its figures are printed."""

import random
import sys
from collections.abc import Callable, Iterator

import pytest
from faults.arena import Arena
from multiproxy_process import TRACEBACK

Tell = Callable[[str], None]


@pytest.fixture
def arena() -> Iterator[Arena]:
    """Everything in it ends after the test, which fails if MultiProxy wrote a traceback."""
    place = Arena()
    yield place
    logs = [proxy.log_text() for proxy in place.proxies]
    place.end()
    assert not any(TRACEBACK in log for log in logs), "\n".join(logs)


@pytest.fixture
def seed(full: bool) -> int:
    """The run's: the same one in short forms, a new one in each full form."""
    return random.SystemRandom().randrange(1_000_000) if full else 7


@pytest.fixture
def tell(
    request: pytest.FixtureRequest, full: bool, seed: int, capfd: pytest.CaptureFixture[str]
) -> Tell:
    """Print the figures of a full form and its seed, whatever pytest captures."""

    def told(figures: str) -> None:
        if not full:
            return
        with capfd.disabled():
            print(f"\n{request.node.name} (seed {seed}): {figures}", file=sys.stderr)

    return told


@pytest.fixture
def only_full(full: bool) -> None:
    """For long forms whose short one is another test; docs/reliability.md names it."""
    if not full:
        pytest.skip("a long form: pytest --full")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A busy machine is no failure here: what hangs is the judge's to say."""
    for item in items:
        if "/faults/" in str(item.path) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))
