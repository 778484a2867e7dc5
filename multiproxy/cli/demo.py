"""``multiproxy demo``: the real program with simulated llama-servers, and clients that use it.

One server can be told to misbehave, one is never there, one loads for a while; the clients come
from ``demo_traffic``. This process serves; its two children end when it does, however it ends,
because they hold the read end of a pipe that only it can write to.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from multiproxy.cli import exit_codes, serve
from multiproxy.config import Address, ConfigError, load
from multiproxy.config.units import Malformed, address

LOOPBACK = "127.0.0.1"

CONFIG = """\
# What `multiproxy demo` runs with. Nothing here is a real model.
listen: {listen}
dashboard: {dashboard}
timeouts: {{drain: 5s, queue: 20s}}
backends:
  - {{id: gpu-a, simulate: {{model: qwen3-32b, tokens_per_second: 58, prompt_tokens_per_second: 2800, context_size: 32768}}}}
  - {{id: gpu-b, simulate: {{model: qwen3-32b, tokens_per_second: 61, prompt_tokens_per_second: 3000, context_size: 32768}}}}
  - {{id: flaky, url: "{flaky}"}}
  - {{id: mac-studio, simulate: {{model: gemma-3-27b, slots: 2, tokens_per_second: 22, prompt_tokens_per_second: 700, context_size: 16384}}}}
  - {{id: big-one, simulate: {{model: llama-3.3-70b, slots: 1, tokens_per_second: 9, prompt_tokens_per_second: 300, load_time: 25s}}}}
  - {{id: gone, url: "{gone}"}}
models:
  qwen3-32b: {{backends: [gpu-a, gpu-b, flaky], aliases: [gpt-4o, "claude-*"]}}
  gemma-3-27b: {{backends: [mac-studio, gone]}}
  llama-3.3-70b: {{backends: [big-one]}}
"""  # noqa: E501 - one line is one server


def demo(options: argparse.Namespace) -> int:
    """Serve until a signal ends it; the exit status."""
    try:
        listen, dashboard = address(options.listen), address(options.dashboard)
    except Malformed as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_codes.USAGE
    with tempfile.TemporaryDirectory(prefix="multiproxy-demo-") as folder:
        return _run(Path(folder), _settled(listen), _settled(dashboard), options.rate)


def _run(folder: Path, listen: Address, dashboard: Address, rate: float) -> int:
    # Neither an own config nor an own history is touched.
    os.environ["XDG_STATE_HOME"] = str(folder)
    children: list[subprocess.Popen[bytes]] = []
    ends, alive = os.pipe()
    try:
        with _listener() as flaky:
            where = f"http://{LOOPBACK}:{flaky.getsockname()[1]}"
            children.append(_simulator(flaky, ends))
        with _listener() as closed:
            gone = f"http://{LOOPBACK}:{closed.getsockname()[1]}"
        path = folder / "demo.yaml"
        text = CONFIG.format(listen=listen, dashboard=dashboard, flaky=where, gone=gone)
        path.write_text(text, encoding="utf-8")
        config = load(str(path))
        if rate:
            children.append(_traffic(listen, where, rate, ends))
        return serve.run(config, str(path), lambda: load(str(path)))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    finally:
        os.close(alive)
        os.close(ends)
        for child in children:
            child.terminate()
            child.wait()


def _settled(wanted: Address) -> Address:
    """Port 0 is replaced now: the clients have to know the address before it is served."""
    if wanted.port:
        return wanted
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        return Address(wanted.host, free.getsockname()[1])


def _listener() -> socket.socket:
    sock = socket.socket()
    sock.bind((LOOPBACK, 0))
    sock.listen()
    return sock


def _simulator(sock: socket.socket, lifeline: int) -> "subprocess.Popen[bytes]":
    flags = ["--model", "qwen3-32b", "--tps", "45", "--pps", "1500", "--ctx", "32768", "--control"]
    return _start(
        ["-m", "multiproxy", "simulate", *flags, "--fd", str(sock.fileno()),
         "--lifeline", str(lifeline)],
        [sock.fileno(), lifeline],
    )  # fmt: skip


def _traffic(api: Address, flaky: str, rate: float, lifeline: int) -> "subprocess.Popen[bytes]":
    return _start(
        ["-m", "multiproxy.cli.demo_traffic", "--api", str(api), "--flaky", flaky,
         "--rate", str(rate), "--lifeline", str(lifeline)],
        [lifeline],
    )  # fmt: skip


def _start(arguments: Sequence[str], inherit: Sequence[int]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=inherit,
        process_group=0,  # Ctrl+C is for this process, which then ends them
    )
