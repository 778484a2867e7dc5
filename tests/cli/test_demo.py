"""``multiproxy demo`` as its users run it: something to see, and nothing left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from multiproxy.cli import main
from multiproxy.cli.instance import Instance, Unavailable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def offspring(pid):
    """The processes below ``pid``, at any depth."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(path.parent.name)] = int(fields[1])
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for child, parent in parents.items() if parent in new} - found
    return found - {pid}


def until(look, patience_s=40.0):
    deadline = time.monotonic() + patience_s
    while not (seen := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return seen


@pytest.fixture
def demo(tmp_path):
    environ = os.environ | {"XDG_STATE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "multiproxy", "demo", "--rate", "8",
         "--listen", "127.0.0.1:0", "--dashboard", "127.0.0.1:0"],
        stderr=subprocess.PIPE, env=environ,
    )  # fmt: skip
    first = json.loads(process.stderr.readline())["text"]
    api, pages = re.findall(r"http://(127\.0\.0\.1:\d+)", first)
    yield process, api, Instance(f"http://{pages}")
    process.kill()
    process.stderr.close()
    process.wait()


def seen_in(instance):
    try:
        return instance.get("overview")
    except Unavailable:
        return {"finished": [], "backends": []}


def test_there_is_something_of_everything_and_nothing_stays(demo, tmp_path):
    process, _, instance = demo
    states = {"up", "down", "loading"}
    until(lambda: states <= {b["state"] for b in seen_in(instance)["backends"]})
    wanted = {"messages", "responses", "chat"}
    until(lambda: wanted <= {x["dialect"] if "dialect" in x else x["api"].split("_")[0]
                             for x in seen_in(instance)["finished"]})  # fmt: skip
    children = offspring(process.pid)
    assert len(children) >= 2  # a worker, and the servers with their clients
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0
    until(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()])
    assert list(tmp_path.iterdir()) == []


def test_even_a_killed_demo_leaves_no_process(demo):
    process, _, _ = demo
    children = until(lambda: len(offspring(process.pid)) >= 2 and offspring(process.pid))
    process.kill()
    process.wait()

    def alive():
        return [
            pid for pid in children
            if Path(f"/proc/{pid}/stat").exists()
            and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        ]  # fmt: skip

    until(lambda: not alive())


def test_a_port_in_use_is_named(capsys, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--listen", f"127.0.0.1:{port}", "--dashboard", "127.0.0.1:0"]) == 3
    assert str(port) in capsys.readouterr().err


def test_an_address_that_is_none_is_wrong_usage(capsys):
    assert main(["demo", "--listen", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
