"""One look at a backend: three questions, one after the other, on one connection."""

from multiproxy.supervisor.facts import Json, facts_of, parse
from multiproxy.supervisor.probe_http import Answer, ProbeConnection, ProbeFailed
from multiproxy.supervisor.verdict import Sight, is_llama


async def look(connection: ProbeConnection, timeout_s: float) -> Sight:
    """What the backend answers, each question within ``timeout_s``; never raises ProbeFailed."""
    health = await _ask(connection, "/health", timeout_s)
    if isinstance(health, ProbeFailed) or health.status == 503:
        return Sight(health)
    # Never /slots: it wakes a sleeping server. Nor a model's name: on a router that would load it.
    props = await _ask(connection, "/props", timeout_s)
    return Sight(health, props, await _ask(connection, "/v1/models", timeout_s))


def facts_seen(sight: Sight) -> Json | None:
    """What was learnt about the backend; None when a question went unanswered."""
    if not isinstance(sight.props, Answer) or not isinstance(sight.models, Answer):
        return None
    return facts_of(_object(sight.props), _object(sight.models), is_llama(sight))


async def _ask(connection: ProbeConnection, path: str, timeout_s: float) -> Answer | ProbeFailed:
    try:
        return await connection.get(path, timeout_s)
    except ProbeFailed as failure:
        return failure


def _object(answer: Answer) -> Json | None:
    return parse(answer.body) if answer.status == 200 else None
