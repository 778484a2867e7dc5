"""Runs a Chat stream through the Responses translators, in every way it may be cut."""

from random import Random
from typing import Any

import orjson
from chat_notation import cuts
from dialects.responses_grammar import Told, check
from dialects.running import run

from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_emit import ResponsesEmitter
from multiproxy.dialects.responses_fold import ResponsesFold
from multiproxy.dialects.responses_request import ResponsesTurn, translate
from multiproxy.errors import ProxyError

NOW = 1763856000.5
HI: dict[str, Any] = {"model": "demo", "input": "hi"}


def turn(policy: Policy | None = None, **members: Any) -> ResponsesTurn:
    """The turn of a small request with these further members."""
    return translate(HI | members, policy or Policy())


def emitter(a_turn: ResponsesTurn | None = None, **options: Any) -> ResponsesEmitter:
    options = {"request_id": "req_1", "random": Random(7), "clock": lambda: NOW} | options
    return ResponsesEmitter(a_turn or turn(), **options)


def fold(a_turn: ResponsesTurn | None = None, **options: Any) -> ResponsesFold:
    options = {"request_id": "req_1", "random": Random(7), "clock": lambda: NOW} | options
    return ResponsesFold(a_turn or turn(), **options)


def told(stream: bytes, a_turn: ResponsesTurn | None = None) -> Told:
    """What the client understood; judged, and the same for every way of cutting.

    A success is folded as well, and the fold must be the object at the stream's end.
    """
    a_turn = a_turn or turn()
    whole = run(emitter(a_turn), [stream])
    by_byte = [stream[index : index + 1] for index in range(len(stream))]
    assert run(emitter(a_turn), by_byte) == whole
    for seed in range(3):
        assert run(emitter(a_turn), cuts(stream, seed)) == whole
    answer = check(whole)
    if answer.end["status"] != "failed":
        for pieces in ([stream], by_byte):
            body = run(fold(a_turn), pieces)
            assert normalised(orjson.loads(body)) == normalised(answer.end)
    return answer


def normalised(response: dict[str, Any]) -> dict[str, Any]:
    """Without ids of our own: a fold and a stream may number them differently."""
    output = [{**item, "id": item["type"]} for item in response["output"]]
    return {**response, "output": output}


def failure(stream: bytes) -> ProxyError | None:
    translator = emitter()
    run(translator, [stream])
    return translator.failure


def said(answer: Told) -> list[tuple[str, str]]:
    """Type and text of every output item."""
    out = []
    for item in answer.output:
        match item["type"]:
            case "message":
                body = "".join(part.get("text", part.get("refusal")) for part in item["content"])
            case "reasoning":
                body = "".join(part["text"] for part in item["content"] + item["summary"])
            case "function_call":
                body = item["name"] + item["arguments"]
            case _:
                body = item["name"] + item["input"]
        out.append((item["type"], body))
    return out
