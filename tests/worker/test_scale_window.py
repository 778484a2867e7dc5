"""Clients with a fixed idea of the window are told of one of that size; the record is not."""

import re

import orjson
import pytest
from worker.conftest import Staff
from worker.workplace import Workplace, row

from multiproxy.config import Model

PROMPT = "tell me more about that " * 40
MESSAGES = {"model": "demo", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 4}
RESPONSES = {"model": "demo", "input": PROMPT, "max_output_tokens": 4, "store": False}
CHAT = "/v1/chat/completions"


async def workplace_with(staff: Staff, scale: int | None, native: tuple[int, ...] = ()):
    models = (Model("demo", scale_window=scale),)
    workplace, _ = await staff(1, config={"models": models}, native=native)
    workplace.board.backends.write(0, row()._replace(n_ctx=8192))
    return workplace


async def usages(workplace: Workplace, path: str, body: dict, *, stream: bool) -> list[dict]:
    """Every count the client was told, the first one first."""
    answer = await workplace.client().ask(body | {"stream": stream}, path)
    assert answer.status == 200
    if not stream:
        return [answer.json["usage"]]
    events = [orjson.loads(data) for data in re.findall(rb"^data: (\{.*)$", answer.body, re.M)]
    places = [(each, each.get("message") or {}, each.get("response") or {}) for each in events]
    return [usage for each in places for place in each if (usage := place.get("usage"))]


def whole(usage: dict) -> tuple[int, int]:
    """The prompt and the output, the cached part counted in."""
    return usage["input_tokens"] + usage.get("cache_read_input_tokens", 0), usage["output_tokens"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "body"), [("/v1/messages", MESSAGES), ("/v1/responses", RESPONSES)]
)
async def test_the_client_is_told_of_its_window_and_the_record_of_the_backends(
    staff: Staff, path: str, body: dict, stream: bool
):
    workplace = await workplace_with(staff, 4 * 8192)
    told = await usages(workplace, path, body, stream=stream)
    [record] = workplace.records
    assert record.prompt_tokens > 50 and record.output_tokens > 0
    assert whole(told[-1]) == (4 * record.prompt_tokens, 4 * record.output_tokens)
    assert {whole(each)[0] for each in told} <= {0, 4 * record.prompt_tokens}
    again = await usages(workplace, path, body, stream=stream)
    record = workplace.records[1]
    assert record.cached_tokens > 0
    details = again[-1].get("input_tokens_details", {})
    cached = details.get("cached_tokens", again[-1].get("cache_read_input_tokens"))
    assert cached == 4 * record.cached_tokens


@pytest.mark.parametrize(("scale", "native"), [(None, ()), (4 * 8192, (0,))])
async def test_without_the_setting_or_in_a_backends_own_words_the_counts_are_true(
    staff: Staff, scale: int | None, native: tuple[int, ...]
):
    workplace = await workplace_with(staff, scale, native)
    told = await usages(workplace, "/v1/messages", MESSAGES, stream=False)
    [record] = workplace.records
    assert whole(told[-1]) == (record.prompt_tokens, record.output_tokens)


async def test_chat_is_told_the_true_counts(staff: Staff):
    workplace = await workplace_with(staff, 4 * 8192)
    [told] = await usages(workplace, CHAT, MESSAGES, stream=False)
    assert told["prompt_tokens"] == workplace.records[0].prompt_tokens


async def test_a_window_nobody_knows_scales_nothing(staff: Staff):
    workplace = await workplace_with(staff, 4 * 8192)
    workplace.board.backends.write(0, row())
    told = await usages(workplace, "/v1/messages", MESSAGES, stream=False)
    assert whole(told[-1])[0] == workplace.records[0].prompt_tokens
