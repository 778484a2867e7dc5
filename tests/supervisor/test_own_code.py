"""The processes that we start run our own code, in whatever folder."""

import os
import subprocess
import sys
import sysconfig

import pytest

from multiproxy import __version__
from multiproxy.supervisor import own_code


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """The working directory has a package of our name."""
    (tmp_path / "multiproxy").mkdir()
    (tmp_path / "multiproxy/__init__.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)


def version():
    command = [*own_code.command("multiproxy"), "--version"]
    return subprocess.run(command, env=own_code.environ(), capture_output=True, text=True)


@pytest.mark.usefixtures("trap")
def test_a_package_in_the_working_directory_does_not_take_our_place():
    assert version().stdout == f"multiproxy {__version__}\n"
    assert (
        "the wrong one"
        in subprocess.run(
            [sys.executable, "-m", "multiproxy"], capture_output=True, text=True
        ).stderr
    )


def test_what_was_looked_at_before_stays_behind_it(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert own_code.environ()["PYTHONPATH"] == f"{own_code.PARENT}{os.pathsep}/elsewhere"


def test_nothing_is_changed_where_python_finds_it_anyway(monkeypatch):
    monkeypatch.setattr(own_code, "PARENT", sysconfig.get_path("purelib"))
    assert own_code.environ() == os.environ
