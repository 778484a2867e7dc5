"""How many tokens a request's prompt has: the engine's own count, else an honest estimate."""

from typing import TYPE_CHECKING, Any

from multiproxy.dialects import count as counting
from multiproxy.dialects.jobs import Job, Translated
from multiproxy.dialects.native_job import ByBackend, Native
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.request import encoded
from multiproxy.errors import BackendError
from multiproxy.routing.table import Route
from multiproxy.scoreboard import BackendState
from multiproxy.worker.asking import ask
from multiproxy.worker.backends import Backend
from multiproxy.worker.endpoints import Endpoint, Speech

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

TIMEOUT_S = 5.0
ESTIMATED = b"x-multiproxy-count: estimate\r\n"
_MISSING = (404, 501)
_TEACHES = 65536  # tokens; a longer prompt tells no more of their size, and takes long to measure
_CHAT = Policy()  # of a backend that is only asked for Chat


async def count(
    worker: "Worker", endpoint: Endpoint, work: Job | ByBackend, route: Route, request_id: str
) -> tuple[bytes, bytes]:
    """Return the answer of a counting route, and header lines that tell an estimate.

    It takes no slot, so it does not wait while all are busy; and it never fails for want of
    a backend: agents draw their context meter from it.

    Raises:
        ClientError: the request itself is refused.
    """
    fields = b""
    tokens = await exact(worker, work, route, request_id)
    if tokens is None:
        ratio = worker.backends.ratio(route.model)
        chat = _chat(worker, work, route, route.candidates[0])
        tokens, fields = counting.estimate_prompt(chat, ratio.bytes_per_token), ESTIMATED
    if endpoint.speech is Speech.MESSAGES:
        return counting.messages_count(tokens), fields
    return counting.responses_count(tokens), fields


async def exact(
    worker: "Worker", work: Job | ByBackend, route: Route, request_id: str
) -> int | None:
    """Return how many tokens an engine counts in a request's prompt; None when none can.

    Raises:
        ClientError: the request itself is refused.
    """
    for index in route.candidates:
        if worker.board.backends.state(index) is not BackendState.UP:
            continue  # a sleeping one would load its model for this
        backend, policy = worker.backends.by_index[index], worker.backends.policy(index)
        job = work.at(policy, None)
        if isinstance(job, Native):
            name = route.send_as.get(index, job.model)
            if (tokens := await _ask_native(backend, job, policy, name)) is not None:
                return tokens
        body = counting.counting_body(_chat(worker, work, route, index))
        try:
            tokens = await _ask(backend, body, request_id)
        except BackendError:
            continue
        if tokens <= _TEACHES:
            worker.backends.ratio(route.model).learn(body, tokens)
        return tokens
    return None


async def _ask_native(
    backend: Backend, job: Native, policy: Policy, model: str | None
) -> int | None:
    """What the backend's own route of the dialect counts; None when it cannot."""
    body = job.encode(policy, model)
    try:
        status, answer = await ask(backend, job.counting_path, body, job.request_id, TIMEOUT_S)
        return counting.read_count(answer) if status == 200 else None
    except BackendError:
        return None


def _chat(worker: "Worker", work: Job | ByBackend, route: Route, index: int) -> dict[str, Any]:
    """The Chat request that one backend would be sent, or one that is asked natively."""
    policy = worker.backends.policy(index)
    job = work.at(policy, None)
    if isinstance(job, Native):
        job = work.at(_CHAT, None)
    model = route.send_as.get(index, job.model)
    if isinstance(job, Translated):
        return job.chat(policy, model)
    return job.request.data if model is None else {**job.request.data, "model": model}


async def _ask(backend: Backend, body: dict[str, object], request_id: str) -> int:
    async def post(path: bytes, question: dict[str, object]) -> tuple[int, bytes]:
        return await ask(backend, path, encoded(question), request_id, TIMEOUT_S)

    status, answer = await post(b"/v1/chat/completions/input_tokens", body)
    if status in _MISSING:  # llama-server before July 2026
        status, answer = await post(b"/apply-template", body)
        if status == 200:
            prompt = counting.read_prompt(answer)
            status, answer = await post(b"/tokenize", counting.tokenizing_body(prompt))
    if status in _MISSING:
        status, answer = await post(b"/tokenize", counting.vllm_tokenizing_body(body))
    if status != 200:
        raise BackendError(f"The backend cannot count (status {status}).")
    return counting.read_count(answer)
