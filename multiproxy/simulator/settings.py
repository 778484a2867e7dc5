"""What a simulated llama-server is: every knob, with its unit and its default."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .faults import Fault

Script = Sequence[bytes | float]


@dataclass(slots=True)
class Settings:
    """One simulated llama-server. Rates of 0 mean "as fast as possible".

    ``context_size`` is tokens per slot. ``n_predict`` limits answers of requests that name
    no limit (-1: until the text ends by itself). ``seed`` is used by requests that bring
    none, so two simulators with equal seeds say the same. ``sleep_idle_s`` of -1 never
    sleeps. ``sigterm`` is ``exit``, or ``linger`` for the real server's behaviour: streams
    fall silent and end without terminator at their next ping. ``control`` opens
    ``POST /simulator/fault`` and ``GET /simulator/facts``.

    ``scripts`` answer a last user message ``@script NAME``: pieces of SSE payload (each one
    chunk) and pauses in seconds, or a complete raw response when the first piece begins
    with ``HTTP/``.
    """

    model: str = "demo"
    slots: int = 4
    context_size: int = 8192
    tokens_per_second: float = 40.0
    prompt_tokens_per_second: float = 2000.0
    load_time: float = 0.0
    api_keys: tuple[str, ...] = ()
    keep_alive_timeout: float = 5.0
    keep_alive_max: int = 100
    ping_interval: float = 30.0
    sleep_idle_s: float = -1.0
    wake_time: float = 0.03
    seed: int = 1
    n_predict: int = -1
    batch_size: int = 2048
    reasoning: bool = False
    prefill_assistant: bool = True
    embeddings: bool = False
    rerank: bool = False
    infill: bool = True
    metrics: bool = True
    slots_endpoint: bool = True
    sigterm: str = "exit"
    control: bool = False
    keep_bodies: bool = False
    faults: list[Fault] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)

    @property
    def token_interval(self) -> float:
        """Seconds between two tokens of one slot."""
        return 1.0 / self.tokens_per_second if self.tokens_per_second > 0 else 0.0

    def prefill_time(self, tokens: int) -> float:
        """Seconds that a slot needs to read ``tokens`` tokens of prompt."""
        rate = self.prompt_tokens_per_second
        return tokens / rate if rate > 0 else 0.0
