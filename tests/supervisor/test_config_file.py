"""A changed configuration is noticed however it was changed, and only when it was."""

import os

import pytest

from multiproxy.supervisor.config_file import LOOK_S, SETTLE_S, ConfigFile


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("one")
    return path


def looks(file, clock, seconds=2.0):
    """How often a change is told while ``seconds`` pass, looking at every tick."""
    told = 0
    for _ in range(round(seconds / 0.1)):
        clock.now += 0.1
        told += file.has_changed()
    return told


def test_an_untouched_file_has_not_changed(path, clock):
    assert looks(ConfigFile(str(path), clock), clock) == 0


def test_new_contents_are_told_once_and_within_a_second(path, clock):
    file = ConfigFile(str(path), clock)
    path.write_text("two")
    assert looks(file, clock, LOOK_S * 2 + SETTLE_S + 0.1) == 1
    assert looks(file, clock) == 0


def test_a_file_put_in_its_place_is_a_change(path, clock):
    file = ConfigFile(str(path), clock)
    draft = path.with_suffix(".new")
    draft.write_text("two")
    draft.replace(path)
    assert looks(file, clock) == 1


def test_editing_what_a_link_leads_to_is_a_change(path, clock, tmp_path):
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    file = ConfigFile(str(link), clock)
    path.write_text("two")
    assert looks(file, clock) == 1


def test_a_link_in_the_path_that_leads_elsewhere_is_a_change(tmp_path, clock):
    """As Kubernetes swaps the contents of a mounted ConfigMap."""
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(name)
        os.utime(tmp_path / name / "config.yaml", (1, 1))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    file = ConfigFile(str(tmp_path / "config.yaml"), clock)
    (tmp_path / "..new").symlink_to("v2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert looks(file, clock) == 1


def test_a_file_that_is_still_being_written_is_waited_for(path, clock):
    file = ConfigFile(str(path), clock)
    for step in range(10):
        path.write_text("x" * (step + 5))
        assert looks(file, clock, LOOK_S) == 0
    assert looks(file, clock) == 1


def test_a_file_that_is_gone_for_a_while_changed_only_if_it_comes_back_different(path, clock):
    file = ConfigFile(str(path), clock)
    path.unlink()
    assert looks(file, clock) == 0
    path.write_text("one")
    assert looks(file, clock) == 0
    path.unlink()
    looks(file, clock)
    path.write_text("two")
    assert looks(file, clock) == 1


def test_a_touch_is_no_change(path, clock):
    file = ConfigFile(str(path), clock)
    os.utime(path, (5, 5))
    assert looks(file, clock) == 0
