"""A real redis-server on a port of its own, which tests kill, freeze and start again."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from multiproxy_process import free_port
from waiting import until


class RedisProcess:
    """Runs from the start; it forgets everything at its end."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/1"
        self._folder = folder
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        until(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100) == b"+PONG\r\n"
        except OSError:
            return False

    def ask(self, *words: str) -> bytes:
        """The answer of one short command, as it is on the wire."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"SELECT 1\r\n" + " ".join(words).encode() + b"\r\n")
            answer = b""
            while answer.count(b"\r\n") < 2:
                answer += connection.recv(65536)
            return answer.partition(b"\r\n")[2]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)


def start_redis(folder: Path) -> RedisProcess:
    """Return a running one; without redis-server the test is skipped, or failed on CI."""
    if not shutil.which("redis-server"):
        if "MULTIPROXY_SKIP_NOTHING" in os.environ:
            pytest.fail("there is no redis-server here")
        pytest.skip("there is no redis-server here")
    return RedisProcess(folder)
