"""``multiproxy drain``, ``resume`` and ``reload``: tell a running one to do something."""

import argparse
import difflib
import json
import time
from typing import Any

from multiproxy.cli import exit_codes
from multiproxy.cli.instance import RELOAD_S, Instance, Refused, talk

POLL_S = 0.5


def hold(options: argparse.Namespace) -> int:
    """Drain or resume ``options.backend``."""
    return talk(options, lambda instance: _hold(instance, options))


def _hold(instance: Instance, options: argparse.Namespace) -> int:
    name, drains = options.backend, options.command == "drain"
    try:
        instance.act(options.command, id=name)
    except Refused as refusal:
        if refusal.status == 404:
            raise Refused(404, _unknown(instance, name)) from refusal
        raise
    view = _find(instance, name)
    while drains and options.wait and view is not None and view["slots_busy"]:
        time.sleep(POLL_S)
        view = _find(instance, name)
    running = view["slots_busy"] if view else 0
    if options.json:
        print(json.dumps({"backend": name, "drained": drains, "running": running}))
    elif drains:
        print(f"{name} gets no new requests; {running} running there")
    else:
        print(f"{name} gets requests again")
    return exit_codes.OK


def _find(instance: Instance, name: str) -> Any:
    views = instance.get("backends")["backends"]
    return next((view for view in views if view["id"] == name), None)


def _unknown(instance: Instance, name: str) -> str:
    names = [view["id"] for view in instance.get("backends")["backends"] if not view["leaves"]]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(names)}"
    return f"no backend '{name}'{hint}"


def reload(options: argparse.Namespace) -> int:
    """Have the config read again."""
    return talk(options, lambda instance: _reload(instance, options))


def _reload(instance: Instance, options: argparse.Namespace) -> int:
    problem = ""
    try:
        instance.act("reload", RELOAD_S)
    except Refused as refusal:
        if refusal.status != 409:
            raise
        problem = str(refusal)
    if options.json:
        print(json.dumps({"ok": not problem, "error": problem or None}))
    elif problem:
        raise Refused(409, f"not loaded: {problem}; the old settings go on")
    else:
        health = instance.get("config")["health"]
        workers = health["workers_serving"]
        print(f"{health['config_path']} is loaded; {workers} worker{'s' * (workers != 1)} serving")
    return exit_codes.FAILED if problem else exit_codes.OK
