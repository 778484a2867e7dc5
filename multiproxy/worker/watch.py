"""The timers of one running exchange, looked at a few times a second; none per piece."""

from multiproxy.config import Timeouts
from multiproxy.dialects.translator import Translator
from multiproxy.errors import BackendDied, BackendTimeout
from multiproxy.worker.relay import Downstream, Relay

FINISH_GRACE_S = 5.0  # after the finish reason: how long usage and [DONE] may take
# A backend that refuses connections and is silent this long is dead, whatever TCP thinks:
# after SIGTERM a llama-server goes silent and keeps its streams open.
SILENT_WHEN_DOWN_S = 2.0
QUIET_S = 1.0  # how often a stream is looked at on which nothing moves, unless a timeout is shorter


class Watch:
    """Signs of life of one exchange, in both directions. Times are the loop's, in seconds."""

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._quiet_s = min(QUIET_S, timeouts.idle, timeouts.first_event or QUIET_S)
        self._began = now
        self._attempt_began = now
        self._alive_at = now  # the backend's last data event or progress
        self._life: tuple[int, object] = (0, None)
        self._finished_at: float | None = None
        self._told_at = now  # our last byte to the client
        self._bytes_out = 0
        self._quiet_until = 0.0  # unless there are other events, or another progress, than these
        self._seen: tuple[int, object] = (0, None)

    def is_quiet(self, translator: Translator, now: float) -> bool:
        """Whether nothing came since ``quiet``, and that is not long ago."""
        return now < self._quiet_until and self._seen == (translator.events, translator.progress)

    def quiet(self, translator: Translator, now: float) -> None:
        """All is looked at now; next when the client may want a sign of life, if not before."""
        self._quiet_until = min(now + self._quiet_s, self._told_at + self._timeouts.comment)
        self._seen = (translator.events, translator.progress)

    def attempt_began(self, now: float) -> None:
        """A request was sent to a backend."""
        self._attempt_began = self._alive_at = now
        self._finished_at = None
        self._quiet_until = 0.0

    def paused(self, now: float) -> None:
        """The client does not keep up, so its backend is not read: its silence says nothing."""
        self._alive_at = now

    def backend(self, relay: Relay, now: float, *, is_down: bool) -> None:
        """End an attempt whose backend finished long ago, fell silent or is gone.

        ``is_down`` is the probes' verdict. Comments of the backend are no sign of life:
        llama-server sends them on after SIGTERM.
        """
        life = relay.life
        if life != self._life:
            self._life = life
            self._alive_at = now
        silent_s = now - self._alive_at
        timeouts = self._timeouts
        if relay.is_finished:
            if self._finished_at is None:
                self._finished_at = now
            elif now - self._finished_at > FINISH_GRACE_S:
                relay.finish()
        elif is_down and silent_s > SILENT_WHEN_DOWN_S:
            relay.fail(BackendDied("The backend stopped answering."))
        elif relay.begun and silent_s > timeouts.idle:
            relay.fail(BackendTimeout(f"The backend sent nothing for {timeouts.idle:g} s."))
        elif (
            timeouts.first_event
            and not relay.begun
            and now - self._attempt_began > timeouts.first_event
        ):
            relay.fail(
                BackendTimeout(f"The backend sent nothing within {timeouts.first_event:g} s.")
            )
        elif now - self._began > timeouts.stream:
            relay.fail(BackendTimeout(f"The answer took longer than {timeouts.stream:g} s."))

    def client(self, downstream: Downstream, translator: Translator, now: float) -> None:
        """Send a keep-alive on a stream that has been quiet, opening it if need be."""
        if downstream.bytes_out != self._bytes_out:
            self._bytes_out = downstream.bytes_out
            self._told_at = now
        elif now - self._told_at >= self._timeouts.comment:
            downstream.write(translator.keep_alive())
            self._bytes_out = downstream.bytes_out
            self._told_at = now
