"""The text of a first config.yaml: the servers that were found, and why each line is there."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from multiproxy.cli.discover import OURSELVES, Server
from multiproxy.config.values import BACKEND_ID, MODEL_NAME
from multiproxy.supervisor.log import printable

SCHEMA = Path(__file__).parent.parent / "config" / "config.schema.json"
_SHOWN_MODELS = 3
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_HEAD = """\
# yaml-language-server: $schema={schema}
# Written by `multiproxy init`. `multiproxy check --probe` finds mistakes and servers that are
# down, `multiproxy serve` serves it, `multiproxy config reference` tells every setting.

listen: 127.0.0.1:{api}          # where clients connect: http://127.0.0.1:{api}/v1
dashboard: 127.0.0.1:{dashboard}       # the web pages; only this machine can open either

backends:
"""
_DEFAULT_MODEL = """
# What a name that nobody serves stands for, so that tools with a built-in model name just work.
{mark}default_model: {model}
"""
_TAIL = """
# Without this section clients may ask for every model that a backend reports; with it, for these
# only. It gives models other names, and says which servers share the work.
#models:
#  {model}:
#    backends: [{ids}]
#    aliases: [gpt-4o, "claude-*"]

# To be reached from other machines: keys for your clients, and another address above.
#keys:
#  - {{name: laptop, key: "${{LAPTOP_KEY}}"}}
"""


def text(servers: Sequence[Server], is_free: Callable[[int], bool]) -> str:
    """A config for ``servers``. ``is_free`` tells whether a port of this machine can be had."""
    backends = [server for server in servers if server.kind != OURSELVES]
    taken = {server.url.port for server in backends if server.url.host in _LOOPBACK}

    def port(first: int) -> int:
        free = (each for each in range(first, 65536) if each not in taken and is_free(each))
        taken.add(found := next(free, first))
        return found

    ids = _ids(backends)
    models = [name for server in backends for name in server.models if MODEL_NAME.accepts(name)]
    model = models[0] if models else "my-model"
    head = _HEAD.format(schema=SCHEMA, api=port(8001), dashboard=port(8080))
    entries = "".join(_entry(server, name) for server, name in zip(backends, ids, strict=True))
    mark = "" if len(set(models)) == 1 else "#"
    default = _DEFAULT_MODEL.format(mark=mark, model=_yaml(model))
    return head + entries + default + _TAIL.format(model=_yaml(model), ids=", ".join(ids))


def _ids(servers: Sequence[Server]) -> list[str]:
    """Short names for logs and the dashboard: the program or the host, and the port."""
    ids: list[str] = []
    for server in servers:
        local = server.url.host in _LOOPBACK
        first = server.kind if local else server.url.host
        name = re.sub(r"[^a-z0-9.]+", "-", f"{first}-{server.url.port}".lower()).strip("-.")
        ids.append(name if BACKEND_ID.accepts(name) and name not in ids else f"b{len(ids) + 1}")
    return ids


def _entry(server: Server, name: str) -> str:
    about = ", ".join(server.models[:_SHOWN_MODELS]) or "its models are not known yet"
    if len(server.models) > _SHOWN_MODELS:
        about += f" and {len(server.models) - _SHOWN_MODELS} more"
    if server.slots:
        about += f", {server.slots} slot{'s' if server.slots > 1 else ''}"
    if server.context_size:
        about += f", {server.context_size:,} tokens each"
    lines = [f"  # {server.kind}: {printable(about)}"]
    if server.problem:
        lines.append(f"  # when this was written: {printable(server.problem)}")
    lines += [f"  - id: {_yaml(name)}", f"    url: {server.url}"]
    if "api_key" in server.problem:
        lines.append('    #api_key: "${BACKEND_KEY}"')
    return "\n".join(lines) + "\n"


def _yaml(value: str) -> str:
    written: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return written.removesuffix("\n").removesuffix("\n...")
