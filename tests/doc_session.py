"""The code blocks of a page, run in order as a reader would, in a copy of the project."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from asking import ask
from multiproxy_process import free_port
from waiting import until

from multiproxy.config import load

ROOT = Path(__file__).parent.parent
MODEL = "qwen3-32b"
LIMIT_S = 280  # pip takes its time on a busy machine
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What the project is made of; not what was made from it.
_COPIED = ("multiproxy", "web", "scripts", "pyproject.toml", "README.md", "LICENSE", "config.yaml",
           "requirements.txt", "start.sh")  # fmt: skip
# Commands that go on until they are told to end.
_SERVERS = ("./start.sh", "multiproxy demo", "multiproxy serve --watch")
_SECRETS = ("GPU_B_KEY", "DASHBOARD_PASSWORD", "LAPTOP_KEY", "JOBS_KEY")


class Block(NamedTuple):
    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall(page.read_text())]


class Session:
    """One reader. The servers of the examples answer as simulators do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        for name in _COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, self.folder / name)
        tools = folder / "tools"
        tools.mkdir()
        (tools / "python3").symlink_to(sys.executable)
        self.port, self.dashboard_port = free_port(), free_port()
        self._engines = [free_port(), free_port()]
        self._env = os.environ | {name: f"secret-{name}" for name in _SECRETS} | {
            "PATH": f"{self.folder}/.venv/bin:{tools}:{os.environ['PATH']}",
            "HOME": str(folder),
            "MULTIPROXY_LISTEN": f"127.0.0.1:{self.port}",
            "MULTIPROXY_DASHBOARD": f"127.0.0.1:{self.dashboard_port}",
        }  # fmt: skip
        for name in ("MULTIPROXY_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "PYTHONPATH"):
            self._env.pop(name, None)
        self._log = folder / "servers.log"
        self._server: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []
        for port in self._engines:
            command = [sys.executable, "-m", "multiproxy", "simulate", "--model", MODEL]
            self._others.append(
                subprocess.Popen(
                    [*command, "--port", str(port), "--tps", "200"],
                    stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)},
                )
            )  # fmt: skip
        for port in self._engines:
            until(lambda port=port: _answers(port, "/health"))

    def has_venv(self) -> None:
        """What `start.sh` leaves behind, with this interpreter in it: nothing to install."""
        binaries = self.folder / ".venv/bin"
        binaries.mkdir(parents=True)
        (binaries / "python").symlink_to(sys.executable)
        program = binaries / "multiproxy"
        program.write_text(
            f'#!/bin/sh\nPYTHONPATH={self.folder} exec {sys.executable} -m multiproxy "$@"\n'
        )
        program.chmod(0o755)
        self.run(
            Block(
                "sh",
                'source scripts/venv.sh; printf "%s\\n" "$root" >.venv/made-for\n'
                'state_of "$(venv_version)" requirements.txt >.venv/requirements.txt.installed\n',
            )
        )

    def run(self, block: Block) -> str:
        """Run, load or start a block; what it printed. Raises AssertionError."""
        text = self._here(block.text)
        if block.language == "yaml":
            return self._load(text)
        if block.text.strip() in _SERVERS:
            return self._serve(text.strip())
        if block.language == "python":
            return self._execute([sys.executable, "-"], text)
        assert block.language == "sh", f"nobody runs {block.language!r}: {block.text}"
        return self._execute(["bash", "-euo", "pipefail", "-s"], text)

    def close(self) -> None:
        self._end_server()
        for process in self._others:
            process.kill()
            process.wait()

    def _here(self, text: str) -> str:
        """The addresses of the page as they are in this session."""
        for number, port in enumerate(self._engines, 1):
            text = text.replace(f"10.0.0.1{number}:8080", f"127.0.0.1:{port}")
        for old, new in (("8001", self.port), ("8080", self.dashboard_port)):
            text = re.sub(rf"\b(localhost|127\.0\.0\.1):{old}\b", rf"\1:{new}", text)
        listen = f"--listen 127.0.0.1:{self.port} --dashboard 127.0.0.1:{self.dashboard_port}"
        return text.replace("multiproxy demo", f"multiproxy demo {listen}")

    def _load(self, text: str) -> str:
        path = self.folder / "page.yaml"
        path.write_text(text)
        before = dict(os.environ)
        os.environ.update({name: self._env[name] for name in _SECRETS})
        try:
            return str(load(path))
        finally:
            os.environ.clear()
            os.environ.update(before)

    def _execute(self, command: list[str], text: str) -> str:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, cwd=self.folder, env=self._env,
            timeout=LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _serve(self, command: str) -> str:
        self._end_server()
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self._env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until(lambda: _answers(self.port, "/readyz"), 40.0)
        return ""

    def _end_server(self) -> None:
        if self._server is not None:
            self._server.terminate()
            assert self._server.wait(30) == 0, self._log.read_text()
            self._server = None


def _answers(port: int, path: str) -> bool:
    with contextlib.suppress(OSError):
        return ask(f"http://127.0.0.1:{port}", "GET", path)[0] == 200
    return False
