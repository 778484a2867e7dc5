"""The Grafana board and the alerts ask only for what ``/metrics`` tells."""

import json
import re

import pytest
import yaml
from dashboard_scene import attempt, busy, finished

from multiproxy.config import Metrics as Settings
from multiproxy.supervisor.dashboard.static import find_web
from multiproxy.supervisor.metrics import Metrics
from multiproxy.supervisor.metrics_now import Now

ROOT = find_web().parent
NAME = re.compile(r"\b(?:multiproxy|gen_ai)_[a-z_]+")


def board():
    return json.loads((ROOT / "grafana" / "multiproxy.json").read_text())


def alerts():
    groups = yaml.safe_load((ROOT / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def exposition():
    """In which each family has a series."""
    metrics = Metrics(Settings(genai_tokens="both"))
    path = (attempt("gpu-b", error="backend_died", was_retried=True),)
    metrics.observe(
        finished(prompt_tokens=9, output_tokens=9, ttft_s=1.0, tokens_per_s=9.0, path=path)
    )
    scene = busy()
    now = Now(
        scene.backends(), scene.running(), scene.health(),
        version="", python="", live_streams=0, rows_dropped=0, rows_unlisted=0,
        unrecorded=0,
    )  # fmt: skip
    return metrics.exposition(now, openmetrics=False)


@pytest.fixture(scope="module")
def told(exposition):
    return set(re.findall(r"[a-z_]+", exposition))


def test_every_metric_is_documented_and_no_other(exposition):
    described = set(NAME.findall((ROOT / "docs" / "metrics.md").read_text()))
    labels = {"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model",
              "gen_ai_token_type", "gen_ai_token_modality", "gen_ai_"}  # fmt: skip
    assert described - labels == set(re.findall(r"# TYPE (\w+)", exposition))


def test_every_panel_asks_for_what_is_told(told):
    expressions = [t["expr"] for panel in board()["panels"] for t in panel["targets"]]
    asked = {name for expression in expressions for name in NAME.findall(expression)}
    assert len(asked) > 12
    assert asked <= told


def test_every_alert_asks_for_what_is_told(told):
    asked = {name for rule in alerts() for name in NAME.findall(rule["expr"])}
    assert len(asked) >= 6
    assert asked <= told


def test_the_board_works_with_any_data_source_and_its_panels_do_not_overlap():
    places = set()
    for panel in board()["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        at = panel["gridPos"]
        cells = {(at["y"], x) for x in range(at["x"], at["x"] + at["w"])}
        assert not cells & places and max(x for _, x in cells) < 24
        places |= cells
    assert len({panel["id"] for panel in board()["panels"]}) == len(board()["panels"])
