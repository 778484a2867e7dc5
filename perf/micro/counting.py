"""What a piece of Python did, in counts: instructions by function, memory, writes. Never time.

Counts do not move with the machine or its other work, so a build can compare them.
"""

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

PACKAGE = str(Path(__file__).resolve().parent.parent.parent / "multiproxy") + "/"


class Instructions:
    """Counts the bytecode instructions that our own functions execute while it is entered.

    What C code does is not in it (the parser of JSON, the event loop), nor other packages.
    """

    def __init__(self) -> None:
        self._by_code: Counter[CodeType] = Counter()

    def __enter__(self) -> "Instructions":
        # Python 3.12 looks for a frame that wants instructions only now.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self._call)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.settrace(None)

    def by_function(self, steps: int) -> dict[str, int]:
        """Instructions in one of so many steps, by file and function, the largest first."""
        named: Counter[str] = Counter()
        for code, count in self._by_code.items():
            file = code.co_filename.removeprefix(PACKAGE).removesuffix(".py")
            named[f"{file}:{code.co_qualname}"] += count
        return {name: count // steps for name, count in named.most_common() if count >= steps}

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._count

    def _count(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode":
            self._by_code[frame.f_code] += 1
        return self._count


Step = Callable[[], Awaitable[None]]


async def instructions(step: Step, steps: int) -> dict[str, int]:
    """Instructions of one step, on the average of several, by function."""
    with Instructions() as counted:
        for _ in range(steps):
            await step()
    return counted.by_function(steps)


async def kept_blocks(step: Step, steps: int) -> float:
    """Blocks of memory that are more after a step than before it, on the average."""
    await step()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(steps):
        await step()
    gc.collect()
    return round((sys.getallocatedblocks() - before) / steps, 1)


async def peak_bytes(step: Step) -> int:
    """The most memory that a step has at a time, beyond what was there before it."""
    await step()
    tracemalloc.start()
    try:
        await step()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        await step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
