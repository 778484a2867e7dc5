"""The internal events: what a backend's answer says, whatever dialect will tell it.

``chat_stream`` makes them, the emitters and folds of each dialect consume them. One Chat
chunk gives its events in the order of the classes below. Nobody changes an event; that the
classes are not frozen halves the time it takes to make one, which is done for every piece.
"""

from dataclasses import dataclass, field

from multiproxy.errors import ProxyError


@dataclass(slots=True)
class Progress:
    """The prompt is being read: ``processed`` of ``total`` tokens, ``cache`` of them reused."""

    total: int
    cache: int
    processed: int


@dataclass(slots=True)
class Reasoning:
    """A non-empty piece of the model's reasoning."""

    text: str


@dataclass(slots=True)
class Text:
    """A non-empty piece of the answer, with its Chat ``logprobs.content`` entries, if any."""

    text: str
    logprobs: list[object] | None = None


@dataclass(slots=True)
class Refusal:
    """A non-empty piece of a refusal."""

    text: str


@dataclass(slots=True)
class ToolFragment:
    """One entry of ``delta.tool_calls`` as it came; ``tools.CallTable`` says which call it is.

    ``index`` is None where the backend gave none; the strings are empty where it gave none.
    """

    index: int | None
    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Finish:
    """The backend's ``finish_reason``; no content follows."""

    reason: str


@dataclass(slots=True)
class StopInfo:
    """Why llama-server stopped: ``stop_type`` is ``eos``, ``word``, ``limit`` or ``""``.

    ``word`` is the stop string that was hit; ``truncated`` tells that the context was full.
    """

    stop_type: str
    word: str
    truncated: bool


@dataclass(slots=True)
class Usage:
    """Token counts. ``prompt`` includes ``cached``; ``output`` includes ``reasoning``.

    ``timings`` is llama-server's object of that name, for the log and the dashboard.
    """

    prompt: int
    cached: int
    output: int
    reasoning: int = 0
    timings: dict[str, object] | None = field(default=None, compare=False)

    def scaled(self, scale: float) -> "Usage":
        """Return all counts times ``scale``."""
        if scale == 1.0:
            return self
        return Usage(
            round(self.prompt * scale),
            round(self.cached * scale),
            round(self.output * scale),
            round(self.reasoning * scale),
            self.timings,
        )


@dataclass(slots=True)
class Failure:
    """The backend's answer failed; the last event of its stream."""

    error: ProxyError


@dataclass(slots=True)
class Done:
    """The backend's answer is complete; the last event of its stream."""


Event = (
    Progress
    | Reasoning
    | Text
    | Refusal
    | ToolFragment
    | Finish
    | StopInfo
    | Usage
    | Failure
    | Done
)
