"""``multiproxy key``: a client's key, and the line of config.yaml that knows only its digest."""

import json
import secrets
import sys

from multiproxy.cli import exit_codes
from multiproxy.config import digest
from multiproxy.config.access import KEY_NAME

PREFIX = "mp-"  # so that a leaked one is recognised
RANDOM_BYTES = 32


def new_key(name: str, *, as_json: bool) -> int:
    """Print a fresh key for ``name``; it is kept nowhere."""
    if not KEY_NAME.accepts(name):
        print(f"error: the name must be {KEY_NAME.says}", file=sys.stderr)
        return exit_codes.USAGE
    key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    kept = f"sha256:{digest(key.encode()).hex()}"
    if as_json:
        print(json.dumps({"name": name, "key": key, "config": {"name": name, "key": kept}}))
        return exit_codes.OK
    print(f"For {name}, shown only now:\n\n  {key}\n")
    print(f'For config.yaml, below keys:\n\n  - {{name: {name}, key: "{kept}"}}')
    return exit_codes.OK
