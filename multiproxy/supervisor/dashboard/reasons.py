"""Why a request went where it went, in sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from multiproxy.supervisor.dashboard import formats
from multiproxy.supervisor.dashboard.views import AttemptView, FinishedView

MIN_WAIT_S = 0.01

# By the names of ``routing.placement.Reason``; {busy} is the clause about slots.
CHOICES = {
    "only_candidate": "the only backend that has the model{busy}",
    "only_ready": "the only one of {candidates} backends with the model that could be used{busy}",
    "least_busy": "the least busy of {ready} backends{busy}",
    "cached": "it has the beginning of this prompt in its cache{busy}",
    "home": "this conversation is at home there{busy}",
    "mirrored": "no request ran there, so that a copy disturbs nobody",
    "spilled": "the backend with this prompt in its cache was too busy{busy}",
}
# By the code of what a failed attempt ended with.
FAILURES = {
    "backend_unreachable": "It could not be connected to",
    "backend_disconnected": "The connection ended before the answer did",
    "backend_timeout": "It did not answer in time",
    "backend_protocol_error": "Its answer could not be understood",
    "backend_error": "It answered with an error",
    "overloaded": "It had no room",
    "model_loading": "It was still loading the model",
    "client_gone": "The client left",
    "context_length_exceeded": "The prompt was too long for its context window",
    "mirror_made_way": "It made way for a request",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One sentence: ``subject`` stands out, ``kind`` is "alias", "bad", "good" or "end"."""

    kind: str
    subject: str
    text: str


def story(x: FinishedView) -> list[Step]:
    """How the name became a model, and the model a backend, one step after the other."""
    return list(_steps(x))


def _steps(x: FinishedView) -> Iterator[Step]:
    if x.copy_of:
        yield Step("alias", "Mirrored:", "a copy of an answered request; nobody got its answer.")
    if x.requested_model and x.requested_model != x.model and x.model:
        yield Step("alias", x.requested_model, f"was asked for; {x.model} serves that name.")
    for place, attempt in enumerate(x.path):
        kind = "bad" if attempt.error else "good"
        yield Step(kind, attempt.backend or "Unknown backend", _sentence(x, attempt, place))
    if x.path and x.path[-1].was_retried:
        yield Step("end", "No other backend", "was left to try.")
    elif not x.path and x.outcome.is_failure:
        yield Step("end", "No backend", "was tried: none could serve the model.")


def _sentence(x: FinishedView, attempt: AttemptView, place: int) -> str:
    when = "on retry: " if place else ("chosen first: " if len(x.path) > 1 else "was chosen: ")
    words = when + _choice(attempt) + "."
    if attempt.waited_s >= MIN_WAIT_S:
        words += f" Waited {_time(attempt.waited_s)} for a slot."
    if attempt.error:
        failure = FAILURES.get(attempt.error, f"It failed ({attempt.error})")
        words += f" {failure}, {_time(attempt.ended_s - attempt.chosen_s)} after it was chosen"
        if attempt.was_retried and attempt.first_s is None:
            words += "; nothing had reached the client"
        elif attempt.was_retried:
            words += "; what the client had was to be continued"
        words += "."
    return words


def _choice(attempt: AttemptView) -> str:
    busy = f", {attempt.busy} of {attempt.slots} slots taken" if attempt.slots else ""
    reason = attempt.reason
    if reason == "only":
        reason = "only_ready" if attempt.candidates > 1 else "only_candidate"
    words = CHOICES.get(reason)
    if words is None:
        return (reason or "for no reason that was kept").replace("_", " ") + busy
    return words.format(busy=busy, ready=attempt.ready, candidates=attempt.candidates)


def _time(seconds: float) -> str:
    return " ".join(formats.seconds(seconds))
