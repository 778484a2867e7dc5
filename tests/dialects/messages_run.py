"""Runs a Chat stream through the Messages translators, in every way it may be cut."""

from random import Random
from typing import Any

import orjson
from chat_notation import cuts
from dialects.messages_grammar import Told, check
from dialects.running import run

from multiproxy.dialects.messages_emit import MessagesEmitter
from multiproxy.dialects.messages_fold import MessagesFold
from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.errors import ProxyError

THINKS = MessagesTurn("demo", shows_thinking=True)
HIDES = MessagesTurn("demo")
WITHHOLDS = MessagesTurn("demo", shows_thinking=True, withholds_thinking=True)


def emitter(turn: MessagesTurn = THINKS, **options: Any) -> MessagesEmitter:
    return MessagesEmitter(turn, **({"request_id": "req_1", "random": Random(7)} | options))


def fold(turn: MessagesTurn = THINKS, **options: Any) -> MessagesFold:
    return MessagesFold(turn, **({"request_id": "req_1", "random": Random(7)} | options))


def told(stream: bytes, turn: MessagesTurn = THINKS) -> Told:
    """What the client understood; judged, and the same for every way of cutting."""
    whole = run(emitter(turn), [stream])
    by_byte = [stream[index : index + 1] for index in range(len(stream))]
    assert run(emitter(turn), by_byte) == whole
    for seed in range(3):
        assert run(emitter(turn), cuts(stream, seed)) == whole
    answer = check(whole)
    assert answer.is_over
    return answer


def folded(stream: bytes, turn: MessagesTurn = THINKS) -> dict[str, Any]:
    """The object that a client gets which does not stream; the same for every cut."""
    whole = run(fold(turn), [stream])
    for seed in range(3):
        assert run(fold(turn), cuts(stream, seed)) == whole
    answer = orjson.loads(whole)
    assert isinstance(answer, dict)
    return answer


def both(stream: bytes, turn: MessagesTurn = THINKS) -> Told:
    """What a success tells, streamed and folded alike."""
    answer = told(stream, turn)
    assert answer.error is None
    assert folded(stream, turn) == answer.message() | {"id": folded(stream, turn)["id"]}
    return answer


def failure(stream: bytes, turn: MessagesTurn = THINKS) -> ProxyError | None:
    translator = emitter(turn)
    run(translator, [stream])
    return translator.failure


def said(answer: Any) -> list[tuple[str, ...]]:
    """Type and content of every block; a call's name and arguments."""
    out: list[tuple[str, ...]] = []
    for block in answer.blocks:
        match block["type"]:
            case "text":
                out.append(("text", block["text"]))
            case "thinking":
                out.append(("thinking", block["thinking"]))
            case _:
                out.append((block["name"], block["input"]))
    return out


def numbers(answer: Any) -> tuple[int, int, int]:
    """Input, cached and output tokens."""
    counts = answer.usage
    return counts["input_tokens"], counts["cache_read_input_tokens"], counts["output_tokens"]
