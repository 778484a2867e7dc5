"""What is true at the moment Prometheus asks: requests, backends, and the program itself."""

from collections import Counter as Count
from collections.abc import Sequence

from multiproxy.supervisor.dashboard.views import (
    BackendState,
    BackendView,
    HealthView,
    Phase,
    RunningView,
)
from multiproxy.supervisor.prometheus import OTHER, Counter, Family, Gauge
from multiproxy.supervisor.rollups.level import counted_as

_STATES = (
    BackendState.UP, BackendState.LOADING, BackendState.SLEEPING, BackendState.DRAINING,
    BackendState.STOPPED, BackendState.DOWN,
)  # fmt: skip


class Now:
    """Everything that is true at the moment of a scrape."""

    def __init__(
        self,
        backends: Sequence[BackendView],
        running: Sequence[RunningView],
        health: HealthView,
        *,
        version: str,
        python: str,
        live_streams: int,
        rows_dropped: int,
        rows_unlisted: int,
        unrecorded: int,
    ) -> None:
        self._backends = backends
        self._running = running
        self._health = health
        self._build = (version, python)
        self._live_streams = live_streams
        self._rows_dropped = rows_dropped
        self._rows_unlisted = rows_unlisted
        self._unrecorded = unrecorded

    def families(self) -> list[Family]:
        return [*self._of_requests(), *self._of_backends(), *self._of_program()]

    def _of_requests(self) -> list[Family]:
        running = Gauge(
            "multiproxy_requests_running", "Requests that a backend works on.", ("model", "backend")
        )
        queued = Gauge(
            "multiproxy_requests_queued", "Requests that wait for a free slot.", ("model",)
        )
        served = {(model, b.id) for b in self._backends for model in b.models}
        models = {model for model, _ in served}
        counts: Count[tuple[str, str]] = Count(dict.fromkeys(sorted(served), 0))
        waiting: Count[str] = Count(dict.fromkeys(sorted(models), 0))
        for x in self._running:
            model = counted_as(x) if x.backend or x.model in models else OTHER
            if x.phase is Phase.QUEUED:
                waiting[model] += 1
            elif x.backend:
                counts[model, x.backend] += 1
        for pair, count in counts.items():
            running.set(count, *pair)
        for model, count in waiting.items():
            queued.set(count, model)
        return [running, queued]

    def _of_backends(self) -> list[Family]:
        label = ("backend",)
        state = Gauge(
            "multiproxy_backend_state", "1 for the state a backend is in.", ("backend", "state")
        )
        slots = Gauge("multiproxy_backend_slots", "Requests a backend serves at once.", label)
        busy = Gauge("multiproxy_backend_slots_busy", "Slots that we keep busy.", label)
        check = Gauge(
            "multiproxy_backend_check_seconds", "How long the last health check took.", label
        )
        failures = Counter(
            "multiproxy_backend_check_failures_total", "Health checks that failed.", label
        )
        for b in self._backends:
            for each in _STATES:
                state.set(float(b.state is each), b.id, each.value)
            slots.set(b.slots_total, b.id)
            busy.set(b.slots_busy, b.id)
            check.set(b.last_check_s, b.id)
            failures.add(b.checks_failed, b.id)
        return [state, slots, busy, check, failures]

    def _of_program(self) -> list[Family]:
        health = self._health
        reloaded = Gauge(
            "multiproxy_config_last_reload_successful", "Whether the last reload went well."
        )
        reloaded.set(float(not health.reload_error))
        loaded_at = Gauge(
            "multiproxy_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was loaded.",
        )
        loaded_at.set(health.loaded_at)
        lag = Gauge(
            "multiproxy_event_loop_lag_seconds", "By how much the slowest worker's loop was late."
        )
        lag.set(health.lag_s)
        workers = Gauge("multiproxy_workers_serving", "Worker processes that take requests.")
        workers.set(health.workers_serving)
        dropped = Counter(
            "multiproxy_store_rows_dropped_total", "Requests missing from the history."
        )
        dropped.add(self._rows_dropped)
        unlisted = Counter(
            "multiproxy_store_rows_unlisted_total",
            "Requests that the history has in its sums only: their second had too many for rows.",
        )
        unlisted.add(self._rows_unlisted)
        unrecorded = Counter(
            "multiproxy_requests_unrecorded_total", "Requests that ended and were not recorded."
        )
        unrecorded.add(self._unrecorded)
        streams = Gauge("multiproxy_live_streams", "Dashboards that are open.")
        streams.set(self._live_streams)
        build = Gauge("multiproxy_build_info", "Always 1.", ("version", "python"))
        build.set(1, *self._build)
        return [reloaded, loaded_at, lag, workers, dropped, unlisted, unrecorded, streams, build]
