"""The loads that every contestant is measured under, and how large each is."""

from dataclasses import dataclass, replace

OPEN_S = 0.003  # a new stream takes so long, at least: they open in turn
_BODY_RATES = {10_000: 500, 100_000: 100, 1_000_000: 10}  # bytes: requests per second


@dataclass(frozen=True, slots=True)
class Shape:
    """How much load, for how long. ``rate`` is per stream, ``request_rate`` over all."""

    streams: int = 200
    rate: float = 50
    connections: int = 50
    request_rate: float = 1000
    idle_streams: int = 2000
    seconds: float = 10.0

    def scaled(self, streams: float, requests: float) -> "Shape":
        """The same with so much of the streams, and of the requests."""
        return replace(
            self,
            streams=max(5, int(self.streams * streams)),
            idle_streams=max(5, int(self.idle_streams * streams)),
            connections=max(5, int(self.connections * streams)),
            request_rate=self.request_rate * requests,
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load, of streams or of requests.

    Streams have ``rate`` events per second, or ``tokens`` over all their time. ``rate`` of
    requests is over all connections.
    """

    name: str
    question: str
    streams: int = 0
    connections: int = 0
    rate: float = 0
    tokens: int = 0
    ballast: int = 0  # bytes
    dialect: str = "chat"  # who does not speak it is not asked
    memory: bool = False  # that of each stream is looked at

    def arguments(self, seconds: float) -> list[str]:
        """Those of ``load.py`` for this load over so many seconds."""
        told = {
            "question": self.question,
            "streams": self.streams,
            "connections": self.connections,
            "rate": self.rate,
            "tokens": self.tokens,
            "ballast": self.ballast,
            "seconds": seconds + self.streams * OPEN_S,
        }
        return [text for name, value in told.items() for text in (f"--{name}", str(value))]


def scenarios(shape: Shape, *, rewrites: bool = False, bodies: float = 1.0) -> list[Scenario]:
    """Every load in this shape, in the order of a run; ``bodies`` is how many of the big ones.

    ``rewrites``: an answer's JSON may be written anew.
    """
    small = "rewritten embedding" if rewrites else "embedding"
    connections = shape.connections
    return [
        # First: what a process has once had in memory, its next load finds there.
        Scenario("idle streams", "chat", shape.idle_streams, tokens=3, memory=True),
        Scenario("stream", "chat", shape.streams, rate=shape.rate),
        *(
            Scenario(f"{each} stream", each, shape.streams, rate=shape.rate, dialect=each)
            for each in ("messages", "responses")
        ),
        Scenario("request", small, connections=connections, rate=shape.request_rate),
        # Each connection asks once per second for 40 tokens, which take 0.8 s.
        *(
            Scenario(name, question, 0, shape.streams, rate=shape.streams, tokens=40)
            for name, question in (("short chat", "chat"), ("whole chat", "whole chat"))
        ),
        Scenario(
            "first token",
            "chat",
            connections=connections,
            rate=max(2.0, shape.request_rate / 10),
            tokens=1,
        ),
        *(
            Scenario(
                f"{size // 1000} KB body",
                "whole chat",
                connections=min(10, connections),
                rate=max(1.0, rate * bodies),
                tokens=1,
                ballast=size,
            )
            for size, rate in _BODY_RATES.items()
        ),
    ]


def gentle(scenario: Scenario) -> Scenario:
    """A fifth of it, or a tenth, for a proxy that is traced and slow: few streams, fast ones."""
    return replace(
        scenario,
        streams=scenario.streams and 10,
        connections=scenario.connections and 10,
        rate=scenario.rate * scenario.streams / 50 or max(5.0, scenario.rate / 10),
    )
