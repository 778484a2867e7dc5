"""What a simulator saw and did, for tests and for its control route."""

from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Facts:
    """Counters of one simulator since it started.

    ``connections`` are the latest opening times (seconds of the loop's time), ``requests`` counts
    by ``"METHOD /path"``, ``bodies`` are request bodies in order of arrival (only with
    ``Settings.keep_bodies``), ``aborted`` generations ended because their client left,
    ``deferred`` ones found no free slot when they came.
    """

    connections: deque[float] = field(default_factory=lambda: deque(maxlen=65536))
    open_connections: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    generations: int = 0
    deferred: int = 0
    finished: int = 0
    aborted: int = 0
    faults: Counter[str] = field(default_factory=Counter)
