"""What is written down of an exchange, while it runs and when it ended."""

import pytest

from multiproxy.dialects.events import Progress, Usage
from multiproxy.errors import BackendDied, NoBackend, UnknownModel
from multiproxy.scoreboard import (
    NO_BACKEND,
    NO_CHOICE,
    TRIES,
    UNKNOWN,
    Choice,
    Phase,
    Scoreboard,
    Try,
)
from multiproxy.worker.account import Account


def opened(board: Scoreboard) -> Account:
    account = Account(board.live[0], "0123456789ab", "127.0.0.1")
    account.understood("chat", "openai", "gpt-4o", stream=True)
    return account


def test_an_exchange_is_in_the_live_table_from_its_first_show_to_its_end(board):
    account = opened(board)
    assert board.live[0].rows() == []
    account.routed("demo")
    account.show()
    (running,) = board.live[0].rows()
    assert (running.request_id, running.endpoint, running.model_asked, running.model_served) == (
        "0123456789ab", "chat", "gpt-4o", "demo",
    )  # fmt: skip
    account.chosen(3, NO_CHOICE)
    account.enter(Phase.PREFILL)
    account.show()
    (running,) = board.live[0].rows()
    assert (running.phase, running.backend, running.attempts) == (Phase.PREFILL, 3, 1)
    account.close(None, 0, None, b"")
    assert board.live[0].rows() == []


def test_a_place_in_the_line_is_shown_until_there_is_a_slot(board):
    account = opened(board)
    account.enter(Phase.QUEUED)
    account.show()
    account.waits(3, 4.5)
    (running,) = board.live[0].rows()
    assert (running.queue_position, running.queue_wait_ms) == (3, 4500)
    account.enter(Phase.CONNECTING)
    (running,) = board.live[0].rows()
    assert (running.queue_position, running.queue_wait_ms) == (0, 0)


def test_content_is_counted_once(board):
    account = opened(board)
    account.show()
    assert account.count(0, None, 1) is False
    assert account.count(3, None, 10**9) is True
    assert account.count(3, None, 10**9) is False
    assert account.count(5, None, 10**9) is True
    assert board.live[0].rows()[0].tokens == 5


@pytest.mark.parametrize(
    ("phase", "letter"),
    [(Phase.READING, "R"), (Phase.QUEUED, "Q"), (Phase.CONNECTING, "C"), (Phase.PREFILL, "W"),
     (Phase.DECODING, "D"), (Phase.FINISHING, "D")],
)  # fmt: skip
def test_the_termination_code_says_who_and_when(board, phase, letter):
    for error, side in ((UnknownModel(""), "C"), (BackendDied(""), "B"), (NoBackend(""), "P")):
        account = opened(board)
        account.enter(phase)
        account.failed(error)
        assert (account.record.termination, account.record.error) == (side + letter, error.code)
    account = opened(board)
    account.enter(phase)
    account.client_gone()
    assert (account.record.termination, account.record.status) == ("C" + letter, 499)


def test_phases_stamp_their_times(board, monkeypatch):
    from multiproxy.worker import account as account_module

    clock = iter(range(1000, 100_000, 1000))
    monkeypatch.setattr(account_module.time, "monotonic_ns", lambda: next(clock))
    account = opened(board)  # 1000
    account.enter(Phase.QUEUED)  # 2000
    account.enter(Phase.CONNECTING)  # 3000
    account.enter(Phase.QUEUED)  # 4000: a second attempt
    account.enter(Phase.CONNECTING)  # 5000
    account.enter(Phase.PREFILL)  # 6000
    account.enter(Phase.DECODING)  # 7000
    account.answered()  # 8000
    record = account.close(None, 0, "stop", b"curl")  # 9000
    assert (record.queue_ns, record.connect_ns, record.first_event_ns) == (2000, 5000, 6000)
    assert (record.last_event_ns, record.total_ns) == (7000, 8000)


def test_what_never_came_is_unknown(board):
    record = opened(board).close(None, 0, None, b"")
    assert {record.queue_ns, record.connect_ns, record.first_event_ns, record.last_event_ns,
            record.prompt_tokens, record.output_tokens, record.prefill_ns} == {UNKNOWN}  # fmt: skip
    assert (record.backend, record.attempts, record.finish_reason) == (NO_BACKEND, 0, "")
    assert record.total_ns >= 0


def test_a_stream_that_broke_ended_with_its_last_moment(board):
    account = opened(board)
    account.enter(Phase.DECODING)
    record = account.close(None, 7, None, b"")
    assert record.last_event_ns == record.total_ns
    assert record.output_tokens == 7  # one token per event, when nobody counted


@pytest.mark.parametrize(
    ("prompt_ms", "prefill_ns"),
    [(12.5, 12_500_000), (0, 0), (-1, UNKNOWN), (1e12, UNKNOWN), ("1", UNKNOWN), (None, UNKNOWN)],
)
def test_usage_is_what_the_backend_counted(board, prompt_ms, prefill_ns):
    usage = Usage(100, 60, 9, timings={"prompt_ms": prompt_ms})
    record = opened(board).close(usage, 7, "stop", b"")
    assert (record.prompt_tokens, record.cached_tokens, record.output_tokens) == (100, 60, 9)
    assert record.prefill_ns == prefill_ns


def test_a_user_agent_is_cut_and_may_be_any_bytes(board):
    record = opened(board).close(None, 0, None, b"\xff" * 100)
    assert record.user_agent == "\xff" * 64
    board.ring(0).append(record)
    assert board.ring(0).read(0)[0][0].user_agent == "\xff" * 32  # of 64 bytes


def test_a_full_table_hides_an_exchange_and_nothing_else(board):
    while board.live[0].claim() is not None:
        pass
    account = opened(board)
    account.show()
    account.routed("demo")
    account.enter(Phase.DECODING)
    assert account.count(2, None, 1) is True
    assert account.close(None, 2, None, b"").output_tokens == 2


def test_progress_is_a_sign_of_life_and_is_shown(board):
    account = opened(board)
    account.show()
    progress = Progress(100, 40, 60)
    assert account.count(0, progress, 1) is True
    assert account.count(0, progress, 2) is False
    (row,) = board.live[0].rows()
    assert (row.prompt_total, row.prompt_cached, row.prompt_processed) == (100, 40, 60)


def test_a_failed_attempt_is_kept_beside_the_one_that_followed(board, monkeypatch):
    from multiproxy.worker import account as account_module

    clock = iter(range(1000, 100_000, 1000))
    monkeypatch.setattr(account_module.time, "monotonic_ns", lambda: next(clock))
    first, second = Choice(3, 1, 4, 2, 3), Choice(2, 0, 4, 1, 3)
    account = opened(board)  # 1000
    account.enter(Phase.QUEUED)  # 2000
    account.chosen(5, first)
    account.enter(Phase.CONNECTING)  # 3000
    account.enter(Phase.PREFILL)  # 4000
    account.retried(BackendDied(""))  # 5000
    account.enter(Phase.QUEUED)  # 6000
    account.chosen(6, second)
    account.enter(Phase.CONNECTING)  # 7000
    record = account.close(None, 0, None, b"")
    assert record.tries == (Try(5, first, "backend_disconnected", 2000, 3000, 4000),)
    assert (record.backend, record.choice, record.chosen_ns) == (6, second, 6000)
    assert record.connect_ns == UNKNOWN  # the first attempt's is not the second's


def test_only_the_first_failed_attempts_are_kept(board):
    account = opened(board)
    for backend in range(TRIES + 3):
        account.chosen(backend, NO_CHOICE)
        account.retried(BackendDied(""))
    record = account.close(None, 0, None, b"")
    assert [each.backend for each in record.tries] == list(range(TRIES))
    assert record.attempts == TRIES + 3
