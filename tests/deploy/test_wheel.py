"""The wheel alone: what is in it, and that it runs far from the repository."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from asking import ask
from multiproxy_process import free_port
from waiting import until

from multiproxy import __version__

ROOT = Path(__file__).parent.parent.parent
SOURCE = ("multiproxy", "web", "pyproject.toml", "README.md", "LICENSE")
HELLO = [{"role": "user", "content": "hi"}]
LIMIT_S = 200  # pip fetches the build backend


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, source / name)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--quiet",
         "--wheel-dir", str(folder)],
        capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    if done.returncode != 0 and "MULTIPROXY_SKIP_NOTHING" not in os.environ:
        pytest.skip(f"pip cannot build here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.timeout(LIMIT_S)
def test_everything_that_is_used_is_in_the_wheel(wheel):
    assert wheel.name == f"multiproxy-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
        metadata = archive.read(f"multiproxy-{__version__}.dist-info/METADATA").decode()
    used = [*(ROOT / "multiproxy").rglob("*"), *(ROOT / "web").rglob("*")]
    for path in used:
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(ROOT).as_posix()
            assert (f"multiproxy/{name}" if name.startswith("web/") else name) in packed, name
    assert {"multiproxy/py.typed", "multiproxy/config/config.schema.json"} <= packed
    licences = [name for name in packed if "LICENSE" in name or "OFL" in name]
    assert len(licences) == 3, "ours, htmx's and the fonts'"
    assert "Requires-Python: >=3.11" in metadata and "License-Expression: MIT" in metadata


@pytest.mark.timeout(LIMIT_S)
def test_the_demo_answers_from_the_wheel_alone(wheel, tmp_path):
    site, home = tmp_path / "site", tmp_path / "home"
    home.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    api, pages = free_port(), free_port()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(site)}
    where = subprocess.check_output(
        [sys.executable, "-c", "import multiproxy; print(multiproxy.__file__)"],
        cwd=home, env=environment, text=True,
    )  # fmt: skip
    assert Path(where.strip()).is_relative_to(site)
    demo = subprocess.Popen(
        [sys.executable, "-m", "multiproxy", "demo", "--listen", f"127.0.0.1:{api}",
         "--dashboard", f"127.0.0.1:{pages}"],
        cwd=home, env=environment, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    question = {
        "model": "qwen3-32b",
        "max_tokens": 3,
        "messages": [{"role": "user", "content": "hi"}],
    }

    def answered():
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{api}"
            return ask(url, "POST", "/v1/chat/completions", question)[0] == 200

    def running():
        with contextlib.suppress(OSError, json.JSONDecodeError):
            told = ask(f"http://127.0.0.1:{pages}", "GET", "/api/overview")[1]
            return told["running"]

    try:
        until(answered, 40)
        until(running, 40)
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(40) == 0
    assert list(home.iterdir()) == []
