"""The sentences about names, choices and failures."""

from dataclasses import replace

from dashboard_scene import attempt, finished

from multiproxy.routing.placement import Reason
from multiproxy.supervisor.dashboard import reasons
from multiproxy.supervisor.dashboard.views import Outcome


def told(x):
    return [(step.kind, f"{step.subject} {step.text}") for step in reasons.story(x)]


def test_a_retried_request_is_a_story():
    first = attempt("gpu-c", reason="least_busy", busy=1, slots=4, ready=3, candidates=3,
                    chosen_s=0.0, first_s=None, ended_s=1.8,
                    error="backend_disconnected", was_retried=True)  # fmt: skip
    second = attempt("gpu-a", reason="only_ready", busy=3, slots=4, ready=1, candidates=3,
                     waited_s=1.58, chosen_s=3.38, ended_s=15.0)  # fmt: skip
    x = finished("r", requested_model="sonnet", model="qwen", attempts=2, path=(first, second))
    assert told(x) == [
        ("alias", "sonnet was asked for; qwen serves that name."),
        (
            "bad",
            "gpu-c chosen first: the least busy of 3 backends, 1 of 4 slots taken. The connection "
            "ended before the answer did, 1.80 s after it was chosen; nothing had reached the "
            "client.",
        ),
        (
            "good",
            "gpu-a on retry: the only one of 3 backends with the model that could be used, 3 of 4 "
            "slots taken. Waited 1.58 s for a slot.",
        ),
    ]


def test_an_answer_that_was_continued_is_not_called_unseen():
    first = attempt("gpu-c", first_s=0.5, ended_s=1.8, error="backend_disconnected",
                    was_retried=True)  # fmt: skip
    x = finished("r", attempts=2, path=(first, attempt("gpu-a", first_s=None)))
    assert told(x)[0][1].endswith("chosen; what the client had was to be continued.")


def test_one_attempt_of_one_candidate():
    x = finished("r", path=(attempt("gpu-a", reason="only_candidate", slots=0),))
    assert told(x) == [("good", "gpu-a was chosen: the only backend that has the model.")]


def test_when_all_failed_that_is_the_end():
    lost = attempt("gpu-a", error="backend_unreachable", was_retried=True, ended_s=0.5)
    x = finished("r", outcome=Outcome.UPSTREAM_ERROR, path=(lost,))
    assert [kind for kind, _ in told(x)] == ["bad", "end"]
    nowhere = finished("r", outcome=Outcome.NO_BACKEND)
    assert told(nowhere) == [("end", "No backend was tried: none could serve the model.")]


def test_a_failure_after_the_commit_does_not_say_that_nothing_came():
    x = finished("r", path=(attempt("gpu-a", error="backend_disconnected"),))
    assert "nothing had reached" not in told(x)[0][1]


def test_every_reason_of_the_router_has_words():
    for reason in Reason:
        if reason:  # 0 is for records without one
            name = reason.name.lower()
            x = finished("r", path=(replace(attempt("a"), reason=name, slots=0),))
            assert told(x)[0][1] != f"a was chosen: {name.replace('_', ' ')}."


def test_a_copy_says_so_first():
    [first, _] = told(finished("r", copy_of="r_one", path=(attempt("a", reason="mirrored"),)))
    assert first == ("alias", "Mirrored: a copy of an answered request; nobody got its answer.")


def test_an_unknown_failure_is_told_by_its_code():
    x = finished("r", path=(attempt("a", error="odd_thing"),))
    assert "It failed (odd_thing)" in told(x)[0][1]
