"""The acceptance list names tests that exist, and every point once."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "dashboard-acceptance.md").read_text()
POINTS = 62


def test_every_point_is_there_once_and_in_order():
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)] == list(
        range(1, POINTS + 1)
    )


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT))
    assert len(named) > POINTS
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not (ROOT / path).exists() or not re.search(rf"def {name}\(", (ROOT / path).read_text())
    ]
    assert missing == []


def test_every_script_and_picture_that_is_named_exists():
    named = set(re.findall(r"`((?:scripts|perf)/[\w.]+)`|`(docs/screenshots)`", TEXT))
    assert all((ROOT / (script or folder)).exists() for script, folder in named)
