"""Refuses a prompt that fits no backend's context before any is touched, and leaves out those
whose window is too small.
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING
from zlib import crc32

from multiproxy._http.head import RequestHead
from multiproxy.dialects.jobs import Job
from multiproxy.dialects.native_job import ByBackend
from multiproxy.dialects.request import Request
from multiproxy.errors import ContextExceeded
from multiproxy.routing.affinity import Mark, marks_of
from multiproxy.routing.recall import ANYBODY, DEEPEST, Wish
from multiproxy.routing.table import Route
from multiproxy.routing.window import Prompt, Verdict, judge, larger, surely_fits, too_small
from multiproxy.worker import counting
from multiproxy.worker.endpoints import Endpoint, Kind, Speech

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

_COUNTABLE = (Speech.CHAT, Speech.MESSAGES, Speech.RESPONSES)
_ELSEWHERE = ("previous_response_id", "conversation")  # the prompt is more than the body


async def fit(
    worker: "Worker",
    endpoint: Endpoint,
    head: RequestHead,
    work: Job | ByBackend,
    request: Request,
    route: Route,
    wish: Wish,
    request_id: str,
) -> tuple[Route, Wish]:
    """Return the route to backends whose window fits, and the wish that remembers the count.

    Raises:
        ContextExceeded: there is none.
    """
    windows = worker.backends.windows(route)
    if not windows or endpoint.kind is not Kind.GENERATE or endpoint.speech not in _COUNTABLE:
        return route, wish
    size = len(request.raw)
    data = request.data
    proves = worker.vocabularies.prove(route)
    if proves and size and surely_fits(size, min(windows.values())):
        return route, wish
    if any(data.get(name) for name in _ELSEWHERE):
        return route, wish
    prefix = request.prefix
    if prefix.has_media:
        return route, wish
    # A session's name says nothing of what is in its prompt.
    marks = _salted(marks_of(b"", prefix.head, prefix.sums, prefix.sizes, size), route.model)
    recall = worker.placer.wishes.recall
    prompt = _known(worker, marks, len(prefix.sums), marks[0].size if data.get("tools") else 0)
    verdict = judge(prompt, windows, recall.bytes_per_token, proves=proves)
    wish = replace(wish, window_key=marks[-1].key)
    if verdict is not Verdict.ASK:
        return route, wish
    tokens: int | None = prompt.known_tokens
    if not prompt.is_counted:
        tokens = await counting.exact(worker, work, route, request_id)
        if tokens is None:
            return route, wish  # nobody can count: the engine will tell
        worker.board.memory.note(marks[-1].key, ANYBODY, tokens, time.monotonic(), True)
    assert tokens is not None
    small = too_small(tokens, windows)
    if len(small) == len(route.candidates):
        param = "input" if endpoint.speech is Speech.RESPONSES else "messages"
        raise ContextExceeded(tokens, max(windows.values()), param=param)
    if small:
        fits = tuple(index for index in route.candidates if index not in small)
        route = replace(route, candidates=fits)
    return route, wish


def after_refusal(worker: "Worker", route: Route, backend: int, error: ContextExceeded) -> Route:
    """Return the route to the backends whose window is larger than that of one that refused."""
    fits = larger(worker.backends.windows(route), backend, error.n_prompt_tokens)
    return replace(route, candidates=tuple(each for each in route.candidates if each in fits))


def _salted(marks: list[Mark], model: str) -> list[Mark]:
    """The marks for counts of one model's tokenizer, apart from those for placement."""
    salt = crc32(model.encode()) * 0x9E3779B1 | 1
    return [Mark(mark.key ^ salt or 1, mark.size) for mark in marks]


def _known(worker: "Worker", marks: list[Mark], turns: int, tools: int) -> Prompt:
    """The prompt with what was counted of it before."""
    last = len(marks) - 1
    for number in range(last, max(0, last - DEEPEST), -1):
        mark = marks[number]
        for trace in worker.board.memory.find(mark.key):
            if trace.is_exact and trace.backend == ANYBODY:
                known = turns - (last - number)
                return Prompt(marks[-1].size, turns, tools, trace.tokens, mark.size, known)
    return Prompt(marks[-1].size, turns, tools)
