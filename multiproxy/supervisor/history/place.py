"""Where the history lies."""

from collections.abc import Mapping
from pathlib import Path

from multiproxy.config import Config


def file_of(config: Config, environ: Mapping[str, str]) -> Path | None:
    """The file of a configuration; None: there is none, everything is only in memory."""
    if config.history is None:
        return None
    if config.history.path is not None:
        return Path(config.history.path).expanduser()
    return default_path(environ, config.listen.port)


def default_path(environ: Mapping[str, str], port: int) -> Path | None:
    """A file in the folder for state that survives a restart; None when there is no such folder.

    One per API port: two programs on one machine have a history each. Without a port of its
    own (0) a program could not find its history again. Source: systemd.exec(5) for
    STATE_DIRECTORY, the XDG base directory specification for the others.
    """
    if port == 0:
        return None
    name = f"history-{port}.db"
    if folder := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(folder, name)
    if (state := environ.get("XDG_STATE_HOME", "")).startswith("/"):
        return Path(state, "multiproxy", name)
    if (home := environ.get("HOME", "")).startswith("/"):
        return Path(home, ".local", "state", "multiproxy", name)
    return None
