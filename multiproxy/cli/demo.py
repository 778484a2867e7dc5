"""``multiproxy demo``: the real program with simulated llama-servers, and clients that use it.

The servers (``demo_servers``) and the clients (``demo_traffic``) are one child process. It ends
when this one does, however that ends: it holds the read end of a pipe that only this one writes.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from multiproxy.cli import exit_codes, serve
from multiproxy.cli.demo_servers import SERVERS
from multiproxy.config import Address, ConfigError, load
from multiproxy.config.units import Malformed, address
from multiproxy.supervisor import own_code

LOOPBACK = "127.0.0.1"

CONFIG = """\
# What `multiproxy demo` runs with. Nothing here is a real model.
listen: {listen}
dashboard: {dashboard}
timeouts: {{drain: 5s, queue: 20s, idle: 20s}}
backends:
{backends}
models:
  qwen3-32b: {{backends: [gpu-a, gpu-b, flaky], aliases: [gpt-4o, "claude-*"]}}
  gemma-3-27b: {{backends: [mac-studio, gone]}}
  llama-3.3-70b: {{backends: [big-one]}}
  phi-4-mini: {{backends: [sleeper]}}
"""


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
    ends, alive = os.pipe()
    sockets = {name: _listener() for name in SERVERS}
    urls = {name: _url(sock) for name, sock in sockets.items()} | {"gone": _closed()}
    world = None
    try:
        backends = "\n".join(f'  - {{id: {name}, url: "{url}"}}' for name, url in urls.items())
        path = folder / "demo.yaml"
        text = CONFIG.format(listen=listen, dashboard=dashboard, backends=backends)
        path.write_text(text, encoding="utf-8")
        config = load(str(path))
        world = _world(listen, rate, sockets, ends)
        return serve.run(config, str(path), lambda: load(str(path)))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    finally:
        os.close(alive)
        os.close(ends)
        if world is not None:
            world.terminate()
            world.wait()


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


def _url(sock: socket.socket) -> str:
    return f"http://{LOOPBACK}:{sock.getsockname()[1]}"


def _closed() -> str:
    """An address where nobody listens."""
    with _listener() as sock:
        return _url(sock)


def _world(
    api: Address, rate: float, sockets: Mapping[str, socket.socket], lifeline: int
) -> "subprocess.Popen[bytes]":
    """The servers and the clients: one process, so that the demo starts soon."""
    servers = [f"--server={name}={sock.fileno()}" for name, sock in sockets.items()]
    world = subprocess.Popen(
        [*own_code.command("multiproxy.cli.demo_traffic"), "--api", str(api),
         "--rate", str(rate), "--lifeline", str(lifeline), *servers],
        env=own_code.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[lifeline, *(sock.fileno() for sock in sockets.values())],
        process_group=0,  # Ctrl+C is for this process, which then ends it
    )  # fmt: skip
    for sock in sockets.values():
        sock.close()
    return world
