"""Frames of ``multiproxy top``, and the screen around them."""

import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest
from cli.answering import dashboard
from dashboard_scene import busy

from multiproxy.cli import top
from multiproxy.cli.instance import Instance


def shown(width, height):
    with dashboard(busy()) as (url, _):
        return top.frame(Instance(url).get("overview"), "URL", width, height)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 10)])
def test_a_frame_fits_the_terminal(width, height):
    lines = shown(width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_frame_has_backends_and_running_requests():
    text = "\n".join(shown(120, 40))
    assert re.search(r"gpu-a +up +\[####\] +4/4", text)
    assert re.search(r"prefill 62 % +qwen3", text)
    assert "5 requests running, 2 waiting" in text


def test_what_does_not_fit_is_counted():
    assert shown(120, 12)[-1] == "  and 8 more lines"


def test_a_sparkline_is_relative_to_its_peak():
    assert top.spark([0, 1, 4, 8]) == "▁▂▅█"
    assert top.spark([0, 0]) == "▁▁"


def test_without_a_terminal_it_prints_objects(tmp_path):
    with dashboard(busy()) as (url, _):
        command = [sys.executable, "-m", "multiproxy", "top", "--json", "--url", url]
        process = subprocess.Popen(
            [*command, "--interval", "0.1"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        process.kill()
        process.wait()
        process.stdout.close()
    assert first["backends"][0]["id"] == second["backends"][0]["id"] == "gpu-a"


def test_on_a_terminal_q_ends_it_and_the_screen_is_put_back():
    control, terminal = pty.openpty()
    with dashboard(busy()) as (url, _):
        process = subprocess.Popen(
            [sys.executable, "-m", "multiproxy", "top", "--url", url],
            stdin=terminal, stdout=terminal, env=os.environ | {"TERM": "xterm"},
        )  # fmt: skip
        os.close(terminal)
        seen = read_until(control, b"gpu-c")
        os.write(control, b"q")
        seen += read_until(control, b"\x1b[?1049l")
        assert process.wait(20) == 0
    os.close(control)
    assert seen.startswith(b"\x1b[?1049h\x1b[?25l")


def read_until(fd, words):
    seen = b""
    while words not in seen:
        assert select.select([fd], [], [], 20)[0], f"only saw {seen!r}"
        seen += os.read(fd, 65_536)
    return seen
