"""``multiproxy serve``: a config, what the command line changes of it, and the supervisor."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, cast

from multiproxy.cli import exit_codes
from multiproxy.cli.find_config import find, nothing_found
from multiproxy.config import Config, ConfigError, Dashboard, Problem, exposures, load
from multiproxy.config.model import MAX_WORKERS
from multiproxy.config.units import Malformed, address
from multiproxy.errors import BadCertificate

OPTIONS = ("listen", "dashboard", "workers", "log_format")
_OFF = ("off", "false", "none")


class BadOption(Exception):
    """An option or its variable has a value it cannot have."""


def serve(options: argparse.Namespace) -> int:
    """Run until a signal ends it; the exit status."""
    path = options.config or find(os.environ)
    if path is None:
        print(nothing_found(os.environ), file=sys.stderr)
        return exit_codes.USAGE
    path = str(path)
    try:
        overrides = read_overrides(options, os.environ)
        config = read(path, overrides)
    except (ConfigError, BadOption) as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    is_watched = options.watch or bool(os.environ.get("MULTIPROXY_WATCH"))
    return run(config, path, lambda: read(path, overrides), is_watched=is_watched)


def read(path: str, overrides: Mapping[str, str]) -> Config:
    """The file with the overrides in place, which may not open what the file keeps closed.

    Raises:
        ConfigError, BadOption: see `load` and `apply`.
    """
    config = apply(load(path), overrides)
    problems = [Problem(0, 0, message, hint) for _, message, hint in exposures(config)]
    if problems:
        raise ConfigError(problems, path)
    return config


def read_overrides(options: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, str]:
    """The options that were given, as ``--name`` or else as ``MULTIPROXY_NAME``."""
    found = {}
    for name in OPTIONS:
        value = getattr(options, name) or environ.get(f"MULTIPROXY_{name.upper()}")
        if value:
            found[name] = value
    return found


def apply(config: Config, overrides: Mapping[str, str]) -> Config:
    """``config`` with the overrides in place.

    Raises:
        BadOption: a value makes no sense.
    """
    for name, value in overrides.items():
        try:
            config = _APPLY[name](config, value)
        except (Malformed, ValueError) as error:
            flag = "--" + name.replace("_", "-")
            raise BadOption(f"error: {flag} {value!r}: {error}") from error
    return config


def _listen(config: Config, value: str) -> Config:
    return replace(config, listen=address(value))


def _dashboard(config: Config, value: str) -> Config:
    if value in _OFF:
        return replace(config, dashboard=None)
    listen = address(value)
    old = config.dashboard
    return replace(config, dashboard=replace(old, listen=listen) if old else Dashboard(listen))


def _workers(config: Config, value: str) -> Config:
    if value == "auto":
        return replace(config, workers=None)
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= MAX_WORKERS:
        raise ValueError(f"must be auto or 1 to {MAX_WORKERS}")
    return replace(config, workers=int(value))


def _log_format(config: Config, value: str) -> Config:
    if value not in ("auto", "text", "json"):
        raise ValueError("must be auto, text or json")
    chosen = cast(Literal["auto", "text", "json"], value)
    return replace(config, log=replace(config.log, format=chosen))


_APPLY: Mapping[str, Callable[[Config, str], Config]] = {
    "listen": _listen,
    "dashboard": _dashboard,
    "workers": _workers,
    "log_format": _log_format,
}


def run(
    config: Config, path: str, reload: Callable[[], Config], *, is_watched: bool = False
) -> int:
    """Be the supervisor until a signal ends it; the exit status."""
    from multiproxy.supervisor.descriptors import CannotListen, raise_descriptor_limit
    from multiproxy.supervisor.history.place import file_of
    from multiproxy.supervisor.log import Log
    from multiproxy.supervisor.main import Supervisor
    from multiproxy.supervisor.tracing import begin

    raise_descriptor_limit()
    log = Log(config.log.format)
    try:
        history = file_of(config, os.environ)
        tracing = begin(os.environ, log.warning)
        supervisor = Supervisor(
            config, path, reload, log, history=history, is_watched=is_watched, tracing=tracing
        )
        return asyncio.run(supervisor.run())
    except CannotListen as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_codes.CANNOT_LISTEN
    except BadCertificate as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except KeyboardInterrupt:  # before the supervisor listened to signals
        return exit_codes.INTERRUPTED
    finally:
        log.close()
