import stat
from types import SimpleNamespace

import pytest

from multiproxy.config import Capture
from multiproxy.supervisor.capture_folder import CaptureFolder


@pytest.fixture
def place(tmp_path):
    """``private`` is the folder in memory; ``lines`` are those of the log."""
    lines = []
    log = SimpleNamespace(warning=lines.append, info=lines.append, error=lines.append)
    private = tmp_path / "private" / "captures"
    return SimpleNamespace(folder=CaptureFolder(str(private), log), private=private, lines=lines)


def test_by_default_it_is_in_memory_and_for_this_user_alone(place):
    assert place.folder.make(Capture()) == str(place.private)
    assert stat.S_IMODE(place.private.stat().st_mode) == 0o700


def test_without_the_setting_there_is_none(place):
    assert place.folder.make(None) == ""
    place.folder.serve(None)
    assert not place.private.exists() and place.lines == []


def test_what_is_kept_of_whom_and_where_is_told_when_it_begins_and_when_it_changes(place):
    place.folder.serve(Capture())
    place.folder.serve(Capture())
    place.folder.serve(Capture(requests=5, keys=("ann", "bob"), folder="/srv/kept"))
    everyone, two = place.lines
    assert everyone.startswith("capture: the newest 20 requests of everyone are kept")
    assert everyone.endswith(f"in {place.private}")
    assert two.startswith("capture: the newest 5 requests of ann, bob are kept")
    assert two.endswith("in /srv/kept")


def test_switched_off_it_forgets_what_was_in_memory_and_nothing_else(place, tmp_path):
    own = tmp_path / "own"
    for folder in (None, str(own)):
        path = place.folder.make(Capture(folder=folder))
        place.folder.serve(Capture(folder=folder))
        (tmp_path / path / "1-a.json").write_text("{}")
    place.folder.serve(None)
    assert place.lines[-1] == "capture: off"
    assert not place.private.exists() and (own / "1-a.json").exists()


def test_a_folder_that_cannot_be_made_is_told_and_nothing_is_kept(place, tmp_path):
    (tmp_path / "file").write_text("")
    assert place.folder.make(Capture(folder=str(tmp_path / "file" / "below"))) == ""
    assert place.lines[0].startswith("capture: nothing is kept:")
