"""The Models page: where names go, and the names nobody configured."""

from dashboard_scene import NOW, Scene, backend, finished

from multiproxy.supervisor.dashboard import models
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import BackendState, ModelView, Outcome

MODELS = Look("models")


def snapshot(**lists: object) -> Snapshot:
    return Snapshot(Scene(**lists), NOW)


def test_a_model_lists_its_backends_and_their_context_sizes():
    rows = models.rows(
        snapshot(
            backend_list=[
                backend("a", models=("m", "n"), context_size=32768),
                backend("b", models=("m",), context_size=16384),
            ]
        ),
        MODELS,
    )["rows"]
    assert [(row.name, [b.id for b in row.backends], row.contexts) for row in rows] == [
        ("m", ["a", "b"], [16384, 32768]),
        ("n", ["a"], [32768]),
    ]
    assert [row.warning for row in rows] == ["Its backends have different context sizes", ""]


def test_a_model_without_a_serving_backend_is_marked():
    data = snapshot(backend_list=[backend("a", models=("m",), state=BackendState.DOWN)])
    assert models.rows(data, MODELS)["rows"][0].warning == "No backend of it is serving"
    assert models.head(data) == {"models": 1, "served": 0}


def test_a_configured_model_tells_its_other_names_and_where_its_requests_go():
    data = snapshot(
        backend_list=[backend("a", models=("m",), weight=3), backend("b", models=("m",))],
        model_list=[
            ModelView(
                "m", ("b", "a"), ("gpt-4o", "claude-*"), fallback=("n", "o"), mirror="shadow",
                send_as="m.gguf", is_default=True,
            ),
            ModelView("n"),
        ],
    )  # fmt: skip
    first, second = models.rows(data, MODELS)["rows"]
    assert [(b.id, b.weight) for b in first.backends] == [("b", 1), ("a", 3)]
    assert first.view.aliases == ("gpt-4o", "claude-*")
    assert first.notes == [
        "the default", "falls back to n, then o", "mirrored to shadow", "sent as m.gguf",
    ]  # fmt: skip
    assert (second.name, second.backends, second.warning) == ("n", [], "No backend has it")
    assert models.head(data) == {"models": 2, "served": 1}


def test_a_split_has_the_requests_of_its_parts():
    data = snapshot(
        backend_list=[backend("a", models=("big", "small"))],
        model_list=[ModelView("assistant", ("a",), parts=(("big", 3), ("small", 1)))],
        finished_list=[
            finished("1", model="big", split="assistant", output_tokens=10),
            finished("2", model="small", split="assistant", output_tokens=5),
            finished("3", model="big", output_tokens=7),
        ],
    )
    [row] = models.rows(data, MODELS)["rows"]
    assert row.notes == ["split: big 75 %, small 25 %"]
    assert (row.summary.requests, row.summary.output_tokens) == (2, 15)
    assert row.summary.ttft_p50 is None


def test_parts_of_a_split_stand_side_by_side_before_what_is_mirrored():
    done = [
        *(finished(f"a{i}", model="big", split="assistant") for i in range(3)),
        finished("b", model="small", split="assistant", outcome=Outcome.TIMEOUT),
        finished("c", model="small"),
        finished("d", model="shadow", copy_of="c"),
    ]
    rows = models.parts(snapshot(finished_list=done), MODELS)
    assert [(r.split, r.model, r.share, r.summary.requests, r.summary.failures) for r in rows] == [
        ("assistant", "big", 0.75, 3, 0),
        ("assistant", "small", 0.25, 1, 1),
        ("", "shadow", None, 1, 0),
    ]


def test_names_that_are_not_a_models_own_are_counted_with_what_became_of_them():
    done = [
        finished("1", requested_model="gpt-4o", model="m"),
        finished("2", requested_model="gpt-4o", model="m"),
        finished("3", requested_model="m", model="m"),
        finished("4", requested_model="typo", model="typo", outcome=Outcome.REJECTED, status=404),
    ]
    rows = models.asked(snapshot(finished_list=done), MODELS)["rows"]
    assert [(row.name, row.served_as, row.count) for row in rows] == [
        ("gpt-4o", "m", 2),
        ("typo", "", 1),
    ]
