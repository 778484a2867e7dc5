from dataclasses import replace
from types import SimpleNamespace

import pytest

from multiproxy.config import Address, Backend, Config, Dashboard, Key, Model, Url
from multiproxy.scoreboard import BackendState
from multiproxy.supervisor.screen import SETTLE_S, Facts, Screen, head, log_start
from multiproxy.supervisor.verdict import Standing


class Log:
    def __init__(self):
        self.written = []
        self.is_muted = False

    def plain(self, text):
        self.written.append(text)

    info = warning = plain


def probe(id, state, reason=""):
    return SimpleNamespace(
        row=SimpleNamespace(id=id),
        standing=Standing(state, reason),
        summary=lambda: "qwen, 4 slots",
    )


CONFIG = Config(
    backends=(Backend("gpu-a", Url("http", "h", 1)), Backend("b", Url("http", "h", 2))),
    models=(Model("m"),),
    dashboard=Dashboard(),
)
FACTS = Facts(Address("127.0.0.1", 8001), Address("127.0.0.1", 8080), "config.yaml", CONFIG)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def screen(log):
    return Screen(log, FACTS, started_at=0.0)


def draw(screen, *probes, is_serving=True, is_disturbed=False, now=1.0):
    screen.tick(probes, is_serving=is_serving, is_disturbed=is_disturbed, now=now)
    return screen._log.written[-1]


def test_the_head_says_where_everything_is():
    text = head(FACTS)
    assert "  API        http://127.0.0.1:8001/v1\n" in text
    assert "  Dashboard  http://127.0.0.1:8080\n" in text
    assert "  Config     config.yaml · 2 backends, 1 model\n" in text
    assert "anyone" not in text


def test_an_address_for_everybody_is_named_with_a_warning():
    text = head(FACTS._replace(api=Address("0.0.0.0", 8001), dashboard=None))
    assert "http://127.0.0.1:8001/v1" in text
    assert "anyone who can reach 0.0.0.0:8001 can use it" in text
    assert "Dashboard  off" in text


def test_with_keys_there_is_nothing_to_warn_of():
    config = replace(CONFIG, keys=(Key("ann", "sha256:00"),))
    facts = FACTS._replace(api=Address("0.0.0.0", 8001), config=config)
    assert "anyone" not in head(facts)


def test_without_a_terminal_it_is_one_line(log):
    log_start(log, FACTS)
    assert len(log.written) == 1
    assert "serves http://127.0.0.1:8001/v1, dashboard http://127.0.0.1:8080" in log.written[0]


def test_lines_are_redrawn_until_every_backend_is_settled(screen, log):
    draw(screen, probe("gpu-a", BackendState.LOADING), probe("b", BackendState.UNCHECKED), now=3.0)
    assert log.written[-1].splitlines() == [
        "  ⠙ gpu-a  loading, 3 s",
        "  ⠙ b      waiting for its answer, 3 s",
    ]
    assert (screen.is_done, log.is_muted) == (False, True)
    up, down = probe("gpu-a", BackendState.UP), probe("b", BackendState.DOWN, "refused\x1b")
    assert draw(screen, up, down) == (
        "\x1b[2F\x1b[J"
        "  ✓ gpu-a  qwen, 4 slots\n"
        "  ✗ b      refused\\x1b\n"
        "\n"
        "  Ready: 1 of 2 backends. Ctrl+C to stop.\n"
        "\n"
    )
    assert (screen.is_done, log.is_muted) == (True, False)


def test_it_is_not_done_before_the_workers_serve(screen):
    draw(screen, probe("gpu-a", BackendState.UP), is_serving=False)
    assert not screen.is_done


def test_somebody_elses_output_or_a_minute_ends_it(screen, log):
    draw(screen, probe("gpu-a", BackendState.LOADING), is_disturbed=True)
    assert screen.is_done
    late = Screen(log, FACTS, started_at=0.0)
    draw(late, probe("gpu-a", BackendState.LOADING), now=SETTLE_S)
    assert late.is_done


def test_a_done_screen_writes_no_more(screen, log):
    screen.close()
    count = len(log.written)
    draw(screen, probe("gpu-a", BackendState.UP))
    assert (len(log.written), log.is_muted) == (count, False)
