"""``multiproxy check``: the same checks as ``serve`` and reload, and nothing is started."""

import json
import os
import sys

from multiproxy.cli import exit_codes
from multiproxy.cli.find_config import find, nothing_found
from multiproxy.config import Config, ConfigError, load
from multiproxy.config import as_json as problems_as_json


def check(file: str | None, *, as_json: bool) -> int:
    """Print what is wrong with ``file``, or with the config that ``serve`` would use."""
    path = file or find(os.environ)
    if path is None:
        print(nothing_found(os.environ), file=sys.stderr)
        return exit_codes.USAGE
    try:
        config = load(path)
    except ConfigError as error:
        if as_json:
            print(_problems(error))
        else:
            print(error, file=sys.stderr)
        return exit_codes.USAGE
    print("[]" if as_json else f"{path} is valid: {summary(config)}")
    return exit_codes.OK


def summary(config: Config) -> str:
    """``5 backends, 3 models``."""
    counts = ((len(config.backends), "backend"), (len(config.models), "model"))
    return ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in counts if n)


def _problems(error: ConfigError) -> str:
    return json.dumps(problems_as_json(error.problems), indent=1)
