"""Whom one worker trusts, on a real scoreboard."""

import time

import pytest
from worker.workplace import chat

from multiproxy.config import Retry
from multiproxy.errors import (
    BackendBusy,
    BackendDied,
    BackendError,
    BackendProtocolError,
    BackendTimeout,
    BackendUnreachable,
)
from multiproxy.routing.placement import Candidate
from multiproxy.worker.trust import Trusted

FAR = 2**62


@pytest.fixture
def trusted(board):
    return Trusted(board, 0)


def test_a_backend_that_rests_gets_nothing_while_most_do_not(board, trusted):
    board.backends.write_trust(1, FAR, 0)
    assert list(trusted.of([0, 1, 2])) == [0, 2]
    assert list(trusted.of([1])) == [1]


def test_a_backend_on_trial_gets_one_request_of_all_workers(board, trusted):
    board.backends.write_trust(1, 1, 0)
    assert list(trusted.of([0, 1, 2])) == [0, 1, 2]
    board.load.add(7, 1, +1)
    assert list(trusted.of([0, 1, 2])) == [0, 2]


def test_when_more_than_half_rest_all_get_requests(board, trusted):
    for index in (0, 1):
        board.backends.write_trust(index, FAR, 0)
    assert list(trusted.of([0, 1, 2, 3])) == [2, 3]
    assert list(trusted.of([0, 1, 2])) == [0, 1, 2]


def test_a_backend_that_comes_back_deserves_a_growing_share(board, trusted):
    assert trusted.share(0) == 1.0
    board.backends.write_trust(0, 0, time.monotonic_ns() - 5 * 10**9)
    assert 0.5 <= trusted.share(0) < 0.6
    assert Candidate(0, 1, 4, 1).load < 1  # what the share is a part of
    board.backends.write_trust(0, 0, time.monotonic_ns() - 10 * 10**9)
    assert trusted.share(0) == 1.0


def test_what_one_worker_saw_itself_is_known_to_it_at_once_and_gives_way(board, trusted):
    trusted.failed(0, BackendDied(""))
    assert list(trusted.of([0, 1])) == [1]
    assert list(trusted.of([0])) == [0]
    assert list(Trusted(board, 1).of([0, 1])) == [0, 1]


@pytest.mark.parametrize(
    ("error", "broke"),
    [
        (BackendUnreachable(""), True),
        (BackendDied(""), True),
        (BackendTimeout(""), True),
        (BackendProtocolError(""), True),
        (BackendBusy(""), False),
        (BackendError(""), False),
    ],
)
def test_only_broken_connections_count_towards_ejection(board, trusted, error, broke):
    trusted.failed(0, error)
    failed, count = board.load.failures(0)
    assert count == 1 and failed > 0
    assert (board.load.last_succeeded(0) > failed) is not broke


async def test_a_stream_that_breaks_off_counts_as_a_failure_of_its_backend(staff):
    settings = {"retry": Retry(after_commit="error")}
    workplace, servers = await staff(2, config=settings, tokens_per_second=200)
    for fault, failures in (("cut:after_events=3", 1), ("error-event:after_events=3", 1)):
        for server in servers:
            server.set_faults([fault])
        answer = await workplace.client().ask(chat(max_tokens=20))
        assert (answer.status, answer.complete) == (200, False)
        counts = [workplace.board.load.failures(index)[1] for index in (0, 1)]
        assert sum(counts) == failures


def test_an_answer_that_ended_is_a_sign_of_life(board, trusted):
    trusted.failed(0, BackendDied(""))
    trusted.succeeded(0)
    assert board.load.last_succeeded(0) >= board.load.failures(0)[0]
