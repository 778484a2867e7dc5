"""Completion, by the shells themselves."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest
from multiproxy_process import ROOT

from multiproxy.cli.completion import commands_of, script
from multiproxy.cli.main import build_parser

CONFIG = "backends: [{url: 'http://gpu-a:8080'}, {url: 'http://gpu-b:8080'}, {id: mac, url: x}]\n"
LIMIT_S = 50.0  # for Python to start on a busy machine


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a config, and `multiproxy` on the PATH."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    program = binaries / "multiproxy"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m multiproxy "$@"\n')
    program.chmod(0o755)
    (tmp_path / "config.yaml").write_text(CONFIG.replace("url: x", "url: 'http://mac'"))
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    monkeypatch.delenv("MULTIPROXY_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(name):
    if not shutil.which(name) and "MULTIPROXY_SKIP_NOTHING" not in os.environ:
        pytest.skip(f"there is no {name} here")
    return name


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def in_bash(line):
    # What readline does before it calls the function: words end at blanks and at colons.
    return run(
        shell("bash"),
        "-c",
        "source <(multiproxy completion bash); COMP_LINE=$1 COMP_POINT=${#1}; "
        'read -ra COMP_WORDS <<<"${1//:/ : }"; [ "${1% }" = "$1" ] || COMP_WORDS+=(\'\'); '
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _multiproxy; printf '%s\\n' \"${COMPREPLY[@]}\"",
        "bash",
        line,
    )


def in_fish(line):
    program = "multiproxy completion fish | source; complete -C $argv[1]"
    described = run(shell("fish"), "--no-config", "-c", program, line)
    return [word.partition("\t")[0] for word in described]


class Zsh:
    """A zsh at a terminal, since its completion exists nowhere else."""

    def __init__(self):
        pid, self._terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="dumb", PS1="", PROMPT="READY>")
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.pid = pid
        self.shown = ""

    def type(self, text):
        os.write(self._terminal, text.encode())

    def until(self, wanted):
        """Read until ``wanted`` is shown; what follows it is for the next call."""
        deadline = time.monotonic() + LIMIT_S
        while wanted not in self.shown:
            ready, _, _ = select.select([self._terminal], [], [], deadline - time.monotonic())
            assert ready, f"no {wanted!r} in {self.shown!r}"
            self.shown += os.read(self._terminal, 4096).decode(errors="replace")
        self.shown = self.shown.partition(wanted)[2]

    def close(self):
        os.close(self._terminal)
        os.waitpid(self.pid, 0)


@pytest.fixture
def zsh(place):
    shell("zsh")
    it = Zsh()
    it.until("READY>")
    it.type("autoload -U compinit && compinit -u -D; source <(multiproxy completion zsh)\n")
    it.type("echo is-$((1 + 1))-ready\n")
    it.until("is-2-ready")
    it.until("READY>")
    yield it
    it.type("\x15exit\n")
    it.close()


CASES = [
    ("multiproxy che", ["check"]),
    ("multiproxy serve --dash", ["--dashboard"]),
    ("multiproxy completion f", ["fish"]),
    ("multiproxy simulate --load", ["--load-time"]),
    ("multiproxy check conf", ["config.yaml"]),
    ("multiproxy drain m", ["mac"]),
]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("line", "found"), CASES)
def test_bash_completes(line, found):
    assert in_bash(line) == found


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("line", "found"), CASES)
def test_fish_completes(line, found):
    assert in_fish(line) == found


@pytest.mark.timeout(200)
def test_zsh_completes(zsh):
    for line, found in CASES:
        zsh.type(f"{line}\t")
        zsh.until(f"{line.rsplit(' ', 1)[0]} {found[0]} ")
        zsh.type("\x15")


@pytest.mark.usefixtures("place")
def test_bash_completes_names_with_colons_from_where_they_were_typed():
    assert in_bash("multiproxy resume gpu-") == ["gpu-a:8080", "gpu-b:8080"]
    assert in_bash("multiproxy resume gpu-b:8") == ["8080"]


@pytest.mark.usefixtures("place")
def test_all_backends_are_offered_when_nothing_is_typed():
    assert in_bash("multiproxy drain ") == ["gpu-a:8080", "gpu-b:8080", "mac"]
    assert in_fish("multiproxy drain ") == ["gpu-a:8080", "gpu-b:8080", "mac"]


def test_every_command_and_flag_is_in_every_script():
    commands = commands_of(build_parser())
    assert {"serve", "check", "init", "config", "status", "drain", "demo"} <= {
        command.name for command in commands
    }
    for name in ("bash", "zsh", "fish"):
        text = script(name, build_parser())
        for command in commands:
            for option in command.flags():
                long = option.flags[-1]
                assert long in text or f"-l {long.removeprefix('--')} " in text, (name, long)
