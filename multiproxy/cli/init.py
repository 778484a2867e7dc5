"""``multiproxy init``: write a first config.yaml for the servers that are there."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from multiproxy.cli import discover, exit_codes, new_config
from multiproxy.cli.discover import OURSELVES, PORTS
from multiproxy.config import Url, load
from multiproxy.config.units import Malformed, url
from multiproxy.supervisor.descriptors import is_unused


def init(options: argparse.Namespace, ports: Sequence[int] = PORTS) -> int:
    """Look, write, and tell what to do next; the exit status."""
    path = Path(options.output)
    if os.path.lexists(path) and not options.force:
        print(f"error: {path} exists", file=sys.stderr)
        print("--force replaces it, --output FILE writes another", file=sys.stderr)
        return exit_codes.USAGE
    try:
        urls = [_url(written) for written in options.urls]
    except Malformed as problem:
        print(f"error: the URL {problem.reason} {problem.hint}".rstrip(), file=sys.stderr)
        return exit_codes.USAGE
    servers = discover.at(dict.fromkeys(urls)) if urls else discover.on_this_machine(ports)
    if all(server.kind == OURSELVES for server in servers):
        print(_nothing(ports), file=sys.stderr)
        return exit_codes.FAILED
    ours = {server.url.port for server in servers if server.kind == OURSELVES}
    try:
        _write(path, new_config.text(servers, lambda port: port in ours or is_unused(port)))
    except OSError as error:
        print(f"error: cannot write {path}: {error.strerror}", file=sys.stderr)
        return exit_codes.FAILED
    load(path)  # what was written is a config: an exception here is a mistake of ours
    for server in servers:
        if server.kind != OURSELVES:
            models = ", ".join(server.models) or server.problem or "no models"
            print(f"  {server.url}  {server.kind}: {models}")
    print(f"\nWrote {path}. Start with: multiproxy serve -c {path}")
    return exit_codes.OK


def _url(written: str) -> Url:
    """A URL; a host and port alone mean http, and the ``/v1`` that clients need goes."""
    whole = written if "://" in written else f"http://{written}"
    return url(whole.rstrip("/").removesuffix("/v1"))


def _nothing(ports: Sequence[int]) -> str:
    tried = ", ".join(map(str, sorted(ports)))
    return (
        f"error: no inference server answered on 127.0.0.1, ports {tried}\n"
        "start one and try again, or name where they are: multiproxy init http://10.0.0.11:8080\n"
        "to try MultiProxy without any: multiproxy demo"
    )


def _write(path: Path, text: str) -> None:
    """In one step: whoever watches the file sees the old one or the new one. Raises OSError."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text)
    draft.replace(path.resolve())
