"""Which config.yaml is meant when none is named."""

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "MULTIPROXY_CONFIG"


def places(environ: Mapping[str, str]) -> list[Path]:
    """Where a config is looked for, in order; a named one is not looked for anywhere else."""
    if named := environ.get(VARIABLE):
        return [Path(named)]
    home = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return [
        Path("config.yaml"),
        Path(os.path.expanduser(home)) / "multiproxy" / "config.yaml",
        Path("/etc/multiproxy/config.yaml"),
    ]


def find(environ: Mapping[str, str]) -> Path | None:
    """The first that exists. One that was named by the variable counts whether it exists or not."""
    if environ.get(VARIABLE):
        return places(environ)[0]
    return next((path for path in places(environ) if path.is_file()), None)


def nothing_found(environ: Mapping[str, str]) -> str:
    """What to tell somebody who has no config yet."""
    looked = "\n".join(f"  {path}" for path in places(environ))
    return (
        f"no configuration found; looked for\n{looked}\n"
        "Name one with --config FILE, or write a config.yaml. The smallest is two lines:\n"
        "  backends:\n"
        "    - url: http://127.0.0.1:8080   # a llama-server, or:  - simulate: true"
    )
