"""The only place that makes tasks: it keeps them alive and says so when one fails."""

import asyncio
import sys
import traceback
from collections.abc import Coroutine
from typing import Any

_running: set[asyncio.Task[None]] = set()  # a loop holds its tasks weakly


def start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run a coroutine beside everything else; an exception it leaks is a bug of ours."""
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[None]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        traceback.print_exception(error, file=sys.stderr)
