"""Takes up the trace of a client's request, or begins one; the supervisor makes the spans."""

import random

from multiproxy._http import trace_context
from multiproxy._http.head import RequestHead
from multiproxy._http.trace_context import NO_PARENT, SAMPLED, Trace

_LOW_BITS = 2**64


class Tracing:
    """``ratio`` is the share of the traces that begin here which are recorded."""

    def __init__(self, ratio: float, chance: random.Random) -> None:
        self._bound = round(ratio * _LOW_BITS)
        self._chance = chance

    def begin(self, head: RequestHead) -> Trace:
        """The trace that a request is a part of."""
        parents = [value for name, value in head.fields if name == b"traceparent"]
        if parents:
            states = [value for name, value in head.fields if name == b"tracestate"]
            found = trace_context.read(parents, states)
            if found is not None:
                return found
        number = self._chance.getrandbits(128) or 1
        # As OpenTelemetry's samplers decide, so that the backend is told what will be so.
        flags = SAMPLED if number % _LOW_BITS < self._bound else 0
        return Trace(number.to_bytes(16), NO_PARENT, flags)
