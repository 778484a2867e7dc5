"""Timers of an exchange, with times passed in."""

from multiproxy.config import Timeouts
from multiproxy.errors import BackendDied, BackendTimeout
from multiproxy.worker.watch import FINISH_GRACE_S, QUIET_S, SILENT_WHEN_DOWN_S, Watch


class Attempt:
    """Stands in for a relay."""

    def __init__(self, *, begun: bool = False, is_finished: bool = False) -> None:
        self.life: tuple[int, object] = (0, None)
        self.begun = begun
        self.is_finished = is_finished
        self.ended: list[object] = []

    def fail(self, error: Exception) -> None:
        self.ended.append(type(error))

    def finish(self) -> None:
        self.ended.append("finished")


class Told:
    """Stands in for a downstream and a translator at once."""

    def __init__(self) -> None:
        self.bytes_out = 0
        self.events = 0
        self.progress: object = None
        self.written: list[bytes] = []

    def write(self, payload: bytes) -> None:
        self.bytes_out += len(payload)
        self.written.append(payload)

    def keep_alive(self) -> bytes:
        return b"alive"


def look(watch: Watch, attempt: Attempt, *times: float, is_down: bool = False) -> list[object]:
    for now in times:
        watch.backend(attempt, now, is_down=is_down)
    return attempt.ended


def test_a_backend_that_goes_silent_amid_its_answer_is_given_up():
    watch, attempt = Watch(Timeouts(idle=300), 0), Attempt(begun=True)
    assert look(watch, attempt, 0, 300) == []
    attempt.life = (1, None)
    assert look(watch, attempt, 301, 601) == []
    assert look(watch, attempt, 601.1) == [BackendTimeout]


def test_a_backend_that_reads_the_prompt_may_be_silent_for_ever():
    assert look(Watch(Timeouts(stream=1e9), 0), Attempt(), 0, 1e6) == []


def test_progress_is_a_sign_of_life():
    watch, attempt = Watch(Timeouts(idle=10), 0), Attempt(begun=True)
    for second in range(0, 100, 9):
        attempt.life = (0, second)
        assert look(watch, attempt, second) == []


def test_a_first_event_that_is_due_and_does_not_come_ends_the_attempt():
    watch, attempt = Watch(Timeouts(first_event=5), 0), Attempt()
    watch.attempt_began(10)
    assert look(watch, attempt, 15) == []
    assert look(watch, attempt, 15.1) == [BackendTimeout]
    assert look(watch, Attempt(begun=True), 16) == []


def test_a_silent_backend_that_refuses_connections_is_dead():
    watch, attempt = Watch(Timeouts(), 0), Attempt()
    assert look(watch, attempt, SILENT_WHEN_DOWN_S, is_down=True) == []
    assert look(watch, attempt, SILENT_WHEN_DOWN_S + 0.1) == []
    assert look(watch, attempt, SILENT_WHEN_DOWN_S + 0.1, is_down=True) == [BackendDied]


def test_a_backend_that_is_down_but_talks_is_alive():
    watch, attempt = Watch(Timeouts(), 0), Attempt(begun=True)
    for second in range(10):
        attempt.life = (second, None)
        assert look(watch, attempt, second, is_down=True) == []


def test_a_finished_answer_has_a_grace_for_its_end():
    watch, attempt = Watch(Timeouts(idle=1), 0), Attempt(begun=True, is_finished=True)
    assert look(watch, attempt, 50, 50 + FINISH_GRACE_S, is_down=True) == []
    assert look(watch, attempt, 50.1 + FINISH_GRACE_S) == ["finished"]


def test_a_new_attempt_has_a_grace_of_its_own():
    watch = Watch(Timeouts(), 0)
    look(watch, Attempt(is_finished=True), 1)
    watch.attempt_began(100)
    assert look(watch, Attempt(is_finished=True), 101) == []


def test_a_whole_answer_has_a_limit():
    watch, attempt = Watch(Timeouts(stream=60, idle=1000), 0), Attempt(begun=True)
    watch.attempt_began(50)  # attempts before count as well
    assert look(watch, attempt, 60) == []
    assert look(watch, attempt, 60.1) == [BackendTimeout]


def test_a_backend_that_is_not_read_is_not_silent():
    watch, attempt = Watch(Timeouts(idle=5), 0), Attempt(begun=True)
    watch.paused(100)
    assert look(watch, attempt, 105) == []
    assert look(watch, attempt, 105.1) == [BackendTimeout]


def test_a_quiet_client_gets_a_sign_of_life_every_comment_seconds():
    watch, told = Watch(Timeouts(comment=10), 0), Told()
    for now in (0, 5, 9.9):
        watch.client(told, told, now)
    assert told.written == []
    watch.client(told, told, 10)
    watch.client(told, told, 19.9)
    assert told.written == [b"alive"]
    watch.client(told, told, 20)
    assert told.written[1:] == [b"alive"]


def test_a_client_that_gets_data_gets_no_sign_of_life():
    watch, told = Watch(Timeouts(comment=10), 0), Told()
    for now in range(0, 100, 9):
        told.bytes_out += 1
        watch.client(told, told, now)
    assert told.written == []


def test_a_stream_is_quiet_until_something_comes_or_a_second_is_over():
    watch, stream = Watch(Timeouts(), 0), Told()
    assert not watch.is_quiet(stream, 0), "nobody looked at it yet"
    watch.quiet(stream, 0)
    assert watch.is_quiet(stream, QUIET_S - 0.01) and not watch.is_quiet(stream, QUIET_S)
    stream.events = 1
    assert not watch.is_quiet(stream, 0.1)
    watch.quiet(stream, 0.1)
    assert watch.is_quiet(stream, 0.2)
    stream.progress = "half of the prompt"
    assert not watch.is_quiet(stream, 0.3)
    watch.quiet(stream, 0.3)
    watch.attempt_began(0.4)
    assert not watch.is_quiet(stream, 0.5), "another backend is asked"


def test_timeouts_below_a_second_are_kept():
    stream = Told()
    for timeouts, due_s in ((Timeouts(comment=0.2), 0.2), (Timeouts(idle=0.5), 0.5)):
        watch = Watch(timeouts, 0)
        watch.quiet(stream, 0)
        assert watch.is_quiet(stream, due_s - 0.01) and not watch.is_quiet(stream, due_s)
