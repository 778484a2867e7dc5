"""A running system made of plain values, for tests of the dashboard and for its screenshots."""

import random
from dataclasses import dataclass, field, fields, replace

from multiproxy.supervisor.dashboard.contract import Wanted
from multiproxy.supervisor.dashboard.views import (
    AttemptView,
    BackendState,
    BackendView,
    ChangeView,
    EventView,
    FinishedView,
    HealthView,
    ModelView,
    Outcome,
    Phase,
    PulseView,
    RunningView,
    UsageView,
    WindowView,
)
from multiproxy.supervisor.rollups.recorder import Recorder

NOW = 1_790_000_000.5  # Unix time of every scene
QWEN, GEMMA = "qwen3-32b-instruct", "gemma-3-27b-it"


@dataclass
class Scene:
    """A ``Provider`` whose lists a test may change between two ticks."""

    now: float = NOW
    backend_list: list[BackendView] = field(default_factory=list)
    model_list: list[ModelView] = field(default_factory=list)  # empty: what backends report
    change_list: list[ChangeView] = field(default_factory=list)  # of every backend
    running_list: list[RunningView] = field(default_factory=list)
    finished_list: list[FinishedView] = field(default_factory=list)
    stored_list: list[FinishedView] = field(default_factory=list)  # the history, newest first
    event_list: list[EventView] = field(default_factory=list)
    state: HealthView = field(
        default_factory=lambda: HealthView(
            532_800.0,
            2,
            2,
            "config.yaml",
            "http://127.0.0.1:8001/v1",
            True,
            NOW - 90_000,
            lag_s=0.002,
        )
    )
    asked: int = 0  # how often somebody wanted to know what is running

    def clock(self) -> float:
        return self.now

    def backends(self) -> list[BackendView]:
        return list(self.backend_list)

    def changes(self, backend: str) -> list[ChangeView]:
        return list(self.change_list)

    def models(self) -> list[ModelView]:
        if self.model_list:
            return list(self.model_list)
        names = dict.fromkeys(name for each in self.backend_list for name in each.models)
        return [
            ModelView(name, tuple(b.id for b in self.backend_list if name in b.models))
            for name in names
        ]

    def running(self) -> list[RunningView]:
        self.asked += 1
        return list(self.running_list)

    def finished(self, limit: int, since_s: float) -> list[FinishedView]:
        recent = [x for x in self.finished_list if x.ended_at >= self.now - since_s]
        return recent[:limit]

    async def stored(self, wanted: Wanted, limit: int) -> list[FinishedView]:
        return [x for x in self.stored_list if wanted.takes(x)][:limit]

    async def stored_one(self, request_id: str) -> FinishedView | None:
        return next((x for x in self.stored_list if x.id == request_id), None)

    def pulse(self) -> PulseView:
        return self._recorder().pulse(self.running_list, self.now)

    def window(self, name: str) -> WindowView:
        return self._recorder().window(name, self.running_list, self.now)

    def metrics(self, live_streams: int, openmetrics: bool) -> str:
        return f"live_streams {live_streams}\n"

    def usage(self, by: str, since: float) -> list[UsageView]:
        return self._recorder().usage_by(by, since)

    def _recorder(self) -> Recorder:
        recorder = Recorder()
        for exchange in sorted(self.finished_list, key=lambda x: x.ended_at):
            recorder.add(exchange)
        return recorder

    def health(self) -> HealthView:
        return self.state

    def events(self) -> list[EventView]:
        return list(self.event_list)


def backend(name: str = "gpu-a", **changes: object) -> BackendView:
    plain = BackendView(
        name,
        "10.0.0.11:8080",
        BackendState.UP,
        since=NOW - 3600,
        models=(QWEN,),
        slots_total=4,
        context_size=32768,
        last_check_at=NOW - 1,
        last_check_s=0.003,
        detail="Q4_K_M",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def running(request_id: str = "r_live", **changes: object) -> RunningView:
    plain = RunningView(
        request_id, NOW - 5, 5.0, Phase.DECODING, QWEN, "gpu-a", "open-webui", "chat"
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def finished(
    request_id: str = "r_done", ended_at: float = NOW - 2, **changes: object
) -> FinishedView:
    """A streamed answer of 3 s by default: 0.5 s to the first token, then 2.5 s of decoding."""
    total = float(changes.pop("total_s", 3.0))  # type: ignore[arg-type]
    plain = FinishedView(
        request_id,
        ended_at - total,
        total,
        200,
        Outcome.OK,
        QWEN,
        QWEN,
        "gpu-a",
        "open-webui",
        "chat",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def attempt(backend_id: str = "gpu-a", **changes: object) -> AttemptView:
    """The only attempt of ``finished``'s default: sent at once, first token after 0.5 s."""
    plain = AttemptView(
        backend_id, "least_busy", 1, 4, 2, 2, 0.0, 0.0, 0.001, 0.5, 3.0
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def hostile(view: object, text: str) -> object:
    """The same view with ``text`` in every field that is text."""
    changes: dict[str, object] = {}
    for item in fields(view):  # type: ignore[arg-type]
        value = getattr(view, item.name)
        if type(value) is str:
            changes[item.name] = text
        elif isinstance(value, tuple) and (not value or isinstance(value[0], str)):
            if item.name != "flow":
                changes[item.name] = (text, text)
    return replace(view, **changes)  # type: ignore[type-var]


def busy(now: float = NOW, seed: int = 7) -> Scene:
    """Five backends in every state, seven running requests, a minute of finished ones."""
    chance = random.Random(seed)
    scene = Scene(now)
    scene.backend_list = [
        backend("gpu-a", slots_busy=4, since=now - 9e4, last_check_at=now - 2),
        backend("gpu-b", address="10.0.0.12:8080", slots_busy=2, last_check_at=now - 1),
        backend("mac-studio", address="10.0.0.20:8081", models=(GEMMA,), slots_busy=1,
                slots_total=2, context_size=16384, detail="Q8_0", last_check_s=0.011),
        backend("gpu-d", address="10.0.0.14:8080", models=("llama-3.3-70b-instruct",),
                state=BackendState.LOADING, context_size=16384,
                detail="IQ3_M", since=now - 34, last_check_s=0.002),
        backend("gpu-c", address="10.0.0.13:8080", state=BackendState.DOWN, since=now - 42,
                reason="connection refused", last_check_at=now - 3, last_check_s=None),
    ]  # fmt: skip

    def flow(mean: float, count: int, stall: range = range(0)) -> tuple[int, ...]:
        return tuple(
            0 if i in stall else max(0, round(chance.gauss(mean, 1.6))) for i in range(count)
        )

    def run(age: float, phase: Phase, **more: object) -> RunningView:
        name = f"r_{chance.randrange(16**6):06x}"
        return running(name, started_at=now - age, elapsed_s=age, phase=phase, **more)

    scene.running_list = [
        run(24.1, Phase.DECODING, key="claude-code", prompt_tokens=31870, cached_tokens=28120,
            output_tokens=1284, ttft_s=1.12, tokens_per_s=58.2, flow=flow(11.6, 60)),
        run(12.9, Phase.PREFILL, key="claude-code", prompt_tokens=29412, cached_tokens=8640,
            prefill_progress=0.62),
        run(6.8, Phase.DECODING, prompt_tokens=2204, cached_tokens=1664, output_tokens=312,
            ttft_s=0.31, tokens_per_s=57.9, flow=flow(11.5, 33)),
        run(5.2, Phase.DECODING, model=GEMMA, backend="mac-studio", key="rag-batch",
            prompt_tokens=6402, cached_tokens=0, output_tokens=96, ttft_s=0.92,
            tokens_per_s=21.4, flow=flow(4.3, 21, range(6, 12))),
        run(1.1, Phase.DECODING, backend="gpu-b", attempts=2, prompt_tokens=904,
            cached_tokens=812, output_tokens=41, ttft_s=0.11, tokens_per_s=61.0,
            flow=flow(12, 5)),
        run(0.6, Phase.QUEUED, backend="", key="continue", prompt_tokens=1180, queue_position=1),
        run(0.2, Phase.QUEUED, backend="", key="claude-code", prompt_tokens=33015,
            queue_position=2),
    ]  # fmt: skip
    scene.finished_list = sorted(
        (_some_finished(chance, now) for _ in range(90)), key=lambda x: x.ended_at, reverse=True
    )
    return scene


def _some_finished(chance: random.Random, now: float) -> FinishedView:
    backend_id, speed = chance.choice(
        [("gpu-a", 60), ("gpu-a", 58), ("gpu-b", 61), ("mac-studio", 22)]
    )
    prompt = int(chance.lognormvariate(7.6, 1.1))
    cached = int(prompt * chance.choice([0, 0.3, 0.75, 0.9]))
    output = int(chance.lognormvariate(5.2, 0.9)) + 2
    queue = chance.choice([0, 0, 0, 0.4, 1.6])
    prefill = (prompt - cached) / 2800 + 0.05
    decode = output / speed
    total = queue + prefill + decode + 0.01
    plain = finished(
        f"r_{chance.randrange(16**6):06x}",
        now - chance.random() * 62,
        total_s=total,
        model=GEMMA if backend_id == "mac-studio" else QWEN,
        backend=backend_id,
        key=chance.choice(["open-webui", "claude-code", "rag-batch", "continue"]),
        prompt_tokens=prompt,
        cached_tokens=cached,
        output_tokens=output,
        ttft_s=queue + prefill,
        tokens_per_s=speed * chance.gauss(1, 0.03),
        queue_s=queue,
        prefill_s=prefill,
        decode_s=decode,
    )
    kind = chance.random()
    nothing = {"output_tokens": None, "ttft_s": None, "tokens_per_s": None, "decode_s": None}
    if kind < 0.05:
        return replace(plain, outcome=Outcome.CLIENT_LEFT, termination="CD")
    if kind < 0.10:
        return replace(plain, attempts=2)
    if kind < 0.13:
        why = "connection reset by 10.0.0.13:8080"
        return replace(plain, outcome=Outcome.UPSTREAM_ERROR, status=502, backend="gpu-c",
                       termination="BW", error=why, total_s=queue + prefill, **nothing)  # fmt: skip
    if kind < 0.18:
        return replace(plain, model="nomic-embed-v2", api="embeddings", stream=False,
                       total_s=prefill, cached_tokens=None, **nothing)  # fmt: skip
    return plain
