"""Proxies that come from PyPI, each installed once into an environment of its own.

They stay in ``$XDG_CACHE_HOME/multiproxy-perf``, so that only the first run waits for them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Of which version the figures are; a run's result file names them as well.
PINS = {
    "sglang-router": "sglang-router==0.3.2",
    "vllm-router": "vllm-router==0.1.17",
    "litellm": "litellm[proxy]==1.106.2",
}
_INSTALL_S = 600


class NotInstalledError(RuntimeError):
    """A contestant that this machine does not have; says why."""


def cache() -> Path:
    """The folder of what was installed for comparisons."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "multiproxy-perf"


def installed(name: str, folder: Path | None = None) -> Path:
    """The command of a peer from PyPI, installed now if it is not.

    Raises:
        NotInstalledError: pip cannot install it here.
    """
    home = (folder or cache()) / PINS[name].replace("[proxy]", "")
    command = home / "bin" / name
    if command.exists():
        return command
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(home / "bin/python"), "-m", "pip", "install", "--quiet", PINS[name]])
    except NotInstalledError:
        shutil.rmtree(home, ignore_errors=True)  # half of it would be taken for the whole
        raise
    if not command.exists():
        raise NotInstalledError(f"{PINS[name]} has no command {name}")
    return command


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalledError(str(error)) from error
    if done.returncode:
        raise NotInstalledError((done.stderr.strip().splitlines() or ["?"])[-1])
