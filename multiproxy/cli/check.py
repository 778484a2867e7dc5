"""``multiproxy check``: the same checks as ``serve`` and reload, and nothing is started.

With ``--probe`` every backend is asked as well.
"""

import json
import os
import sys

from multiproxy.cli import exit_codes
from multiproxy.cli.find_config import find, nothing_found
from multiproxy.config import Config, ConfigError, load
from multiproxy.config import as_json as problems_as_json


def check(file: str | None, *, as_json: bool, probe: bool = False) -> int:
    """Print what is wrong with ``file``, or with the config that ``serve`` would use.

    As JSON: the list of problems; with ``probe`` an object of ``problems`` and ``backends``.
    """
    path = file or find(os.environ)
    if path is None:
        print(nothing_found(os.environ), file=sys.stderr)
        return exit_codes.USAGE
    try:
        config = load(path)
    except ConfigError as error:
        if as_json:
            problems = problems_as_json(error.problems)
            _print_json({"problems": problems, "backends": []} if probe else problems)
        else:
            print(error, file=sys.stderr)
        return exit_codes.USAGE
    if not as_json:
        print(f"{path} is valid: {summary(config)}")
    elif not probe:
        _print_json([])
    return _probe(config, as_json=as_json) if probe else exit_codes.OK


def _probe(config: Config, *, as_json: bool) -> int:
    from multiproxy.cli import probe

    config = probe.found(config)
    findings = probe.probe(config)
    if as_json:
        _print_json({"problems": [], "backends": probe.as_json(findings)})
    else:
        print(f"\n{probe.table(config, findings)}")
    is_down = any(finding.is_down for finding in findings)
    return exit_codes.FAILED if is_down else exit_codes.OK


def summary(config: Config) -> str:
    """``5 backends, 3 models``."""
    counts = ((len(config.backends), "backend"), (len(config.models), "model"))
    return ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in counts if n)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))
