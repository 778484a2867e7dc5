"""``multiproxy config``: what is in use, which file that is, and what a file may hold."""

import argparse
import json
import os
import sys

from multiproxy.cli import exit_codes
from multiproxy.cli.find_config import find, nothing_found
from multiproxy.cli.serve import OPTIONS, BadOption, apply
from multiproxy.config import ConfigError
from multiproxy.config.load import load_with_lines
from multiproxy.config.report import Path
from multiproxy.config.show import as_json, as_yaml

# What each override of `serve` sets.
_PLACES: dict[str, tuple[Path, ...]] = {
    "listen": (("listen",),),
    "dashboard": (("dashboard",), ("dashboard", "listen")),
    "workers": (("workers",),),
    "log_format": (("log", "format"),),
}


def config(options: argparse.Namespace) -> int:
    """Print what ``options.what`` names."""
    if options.what == "schema":
        from multiproxy.config.schema import schema

        print(json.dumps(schema(), indent=1, ensure_ascii=False))
        return exit_codes.OK
    if options.what == "reference":
        from multiproxy.config.reference import reference

        print(reference(), end="")
        return exit_codes.OK
    path = options.config or find(os.environ)
    if path is None:
        print(nothing_found(os.environ), file=sys.stderr)
        return exit_codes.USAGE
    if options.what == "path":
        print(path)
        return exit_codes.OK
    try:
        return _show(options.what, str(path), is_json=options.json)
    except (ConfigError, BadOption) as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE


def _show(what: str, path: str, *, is_json: bool) -> int:
    """Raises ConfigError, BadOption."""
    variables = {name: f"MULTIPROXY_{name.upper()}" for name in OPTIONS}
    overrides = {name: os.environ.get(variable) for name, variable in variables.items()}
    given = {name: value for name, value in overrides.items() if value}
    loaded = load_with_lines(path)
    if what == "backends":
        print("".join(f"{backend.id}\n" for backend in loaded.config.backends), end="")
        return exit_codes.OK
    in_use = apply(loaded.config, given)
    sources = {place: f"line {line}" for place, line in loaded.lines.items()}
    sources |= {place: variables[name] for name in given for place in _PLACES[name]}
    if is_json:
        print(json.dumps({"file": path} | as_json(in_use, sources), indent=1, ensure_ascii=False))
    else:
        print(f"# {path}\n{as_yaml(in_use, sources)}", end="")
    return exit_codes.OK
