"""Waiting for what another process will do: looked at often, given up after a while."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.02


def until(look: Callable[[], T | None], limit_s: float = 10.0) -> T:
    """Return what ``look`` gives once that is true. Raises TimeoutError after ``limit_s``."""
    deadline = time.monotonic() + limit_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not so after {limit_s} s: {look}")
        time.sleep(POLL_S)
    return found
