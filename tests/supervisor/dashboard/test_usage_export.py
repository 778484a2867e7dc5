"""The export: every hour and name, and nothing that a spreadsheet would run."""

import csv
import io
import json

import pytest
from dashboard_scene import NOW, Scene, finished

from multiproxy.supervisor.dashboard import usage_export
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot

DONE = [
    finished("1", NOW - 10, key="alice", prompt_tokens=100, cached_tokens=40, output_tokens=7,
             prefill_s=0.25, decode_s=1.0),
    finished("2", NOW - 3600, key="=cmd|' /C calc'!A0", output_tokens=1),
]  # fmt: skip
LOOK = Look("usage", (("by", "key"),), "UTC")


@pytest.fixture
def snapshot():
    return Snapshot(Scene(finished_list=DONE), NOW)


def test_the_table_has_one_line_per_hour_and_name(snapshot):
    response = usage_export.response(snapshot, LOOK, "csv")
    assert response.content_type == "text/csv; charset=utf-8"
    assert dict(response.headers)["Content-Disposition"] == (
        'attachment; filename="multiproxy-usage-24h-by-key.csv"'
    )
    head, first, second = csv.reader(io.StringIO(response.body.decode()))
    assert head == [
        "hour", "key", "requests", "failures", "prompt_tokens", "cached_tokens",
        "processed_tokens", "output_tokens", "spent_tokens", "compute_s",
    ]  # fmt: skip
    assert first[:3] == ["2026-09-21T13:00:00Z", "'=cmd|' /C calc'!A0", "1"]
    assert second == [
        "2026-09-21T14:00:00Z", "alice", "1", "0", "100", "40", "60", "7", "67", "1.25",
    ]  # fmt: skip


def test_json_has_the_same_numbers_and_the_names_as_they_are(snapshot):
    response = usage_export.response(snapshot, LOOK, "json")
    data = json.loads(response.body)
    assert (data["range"], data["by"]) == ("24h", "key")
    assert [hour["name"] for hour in data["hours"]] == ["=cmd|' /C calc'!A0", "alice"]
    assert data["hours"][1]["spent_tokens"] == 67


@pytest.mark.parametrize("name", ["=1", "+1", "-1", "@x", "\tx"])
def test_a_name_that_looks_like_a_formula_is_made_text(name):
    assert usage_export.inert(name) == f"'{name}"
    assert usage_export.inert("qwen-3") == "qwen-3"
    assert usage_export.inert(-5) == -5
    assert usage_export.inert("") == ""


async def test_both_files_can_be_fetched(serve):
    served = await serve(Scene(finished_list=DONE))
    for kind in ("csv", "json"):
        answer = await served.get(f"/usage.{kind}?by=key&range=7d")
        assert answer.status == 200
        assert b"alice" in answer.body
