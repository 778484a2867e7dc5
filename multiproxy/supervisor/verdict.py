"""From what a probe saw to what a backend is: up, loading, sleeping or down. Pure."""

from typing import NamedTuple

from multiproxy.scoreboard import BackendState
from multiproxy.supervisor.facts import is_sleeping, parse
from multiproxy.supervisor.probe_http import Answer, ProbeFailed

MISSES = 3  # probes without an answer before a backend that was alive is down
INTERVAL_UP_S = 5.0
INTERVAL_NOT_UP_S = 2.0
LONGEST_INTERVAL_S = 10.0  # of a backend that has been silent for long
SLOWDOWN = 1.5
ALIVE_S = 10.0  # an event this recent proves life: under load, probes may go unanswered


class Sight(NamedTuple):
    """One probe. A part is None when it was not asked."""

    health: Answer | ProbeFailed
    props: Answer | ProbeFailed | None = None
    models: Answer | ProbeFailed | None = None


class Standing(NamedTuple):
    """What a backend is. ``reason`` is why it is not up; ``misses`` counts silent probes."""

    state: BackendState = BackendState.UNCHECKED
    reason: str = ""
    misses: int = 0


def interval_s(standing: Standing) -> float:
    """How long until the next probe: soon after a change, less often the longer it is down."""
    if standing.state is BackendState.UP:
        return INTERVAL_UP_S
    late = min(max(0, standing.misses - MISSES), 10)
    return min(INTERVAL_NOT_UP_S * SLOWDOWN**late, LONGEST_INTERVAL_S)


def judge(sight: Sight, before: Standing, alive: bool) -> Standing:
    """``alive``: a worker received an event of the backend within the last ALIVE_S."""
    health = sight.health
    if isinstance(health, ProbeFailed):
        if health.refused:
            return Standing(BackendState.DOWN, health.reason, before.misses + 1)
        return _missed(health.reason, before, alive)
    if _is_ok(health):
        return _answering(sight)
    if health.status == 503 and b"loading" in health.body.lower():
        return Standing(BackendState.LOADING, "loading its model")
    if health.status in (404, 405, 501) and _is_ok(sight.models):
        return _answering(sight)  # an OpenAI-compatible server without /health
    return _missed(f"GET /health answered {health.status}", before, alive)


def _answering(sight: Sight) -> Standing:
    # /health needs no key, and llama-server's /v1/models neither; /props does.
    for answer in (sight.models, sight.props):
        if isinstance(answer, Answer) and answer.status in (401, 403):
            if is_llama(sight) or answer is sight.models:
                reason = f"it refuses our api_key (status {answer.status})"
                return Standing(BackendState.DOWN, reason)
    props = None
    if isinstance(sight.props, Answer) and _is_ok(sight.props):
        props = parse(sight.props.body)
    if is_sleeping(props):
        return Standing(BackendState.SLEEPING, "sleeping until the next request")
    return Standing(BackendState.UP)


def _missed(reason: str, before: Standing, alive: bool) -> Standing:
    misses = before.misses + 1
    is_known = before.state not in (BackendState.UNCHECKED, BackendState.DOWN)
    if is_known and (alive or misses < MISSES):
        return before._replace(misses=misses)
    return Standing(BackendState.DOWN, reason, misses)


def _is_ok(answer: Answer | ProbeFailed | None) -> bool:
    return isinstance(answer, Answer) and 200 <= answer.status < 300


def is_llama(sight: Sight) -> bool:
    """Whether the Server field of any answer says llama.cpp."""
    return any(isinstance(part, Answer) and part.server == b"llama.cpp" for part in sight)
