"""What one generation will say: reasoning, words, JSON or tool calls, token by token."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from random import Random
from typing import Any

import orjson

from . import text
from .schema import value_for
from .text import Token

Tokens = Iterator[Token | None]
ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
REASONING_TOKENS = 8


@dataclass(slots=True)
class Ending:
    """How a generation ended by itself; a stop word overwrites it while tokens flow."""

    finish_reason: str = "stop"
    stop_type: str = "eos"
    stopping_word: str = ""


@dataclass(slots=True)
class Plan:
    """The tokens of one generation and how they end.

    ``None`` in ``tokens`` is a token whose text is held back: it is counted, and nothing
    is sent. ``prefix`` is content that the client sent itself and that is echoed before the
    first piece, ``thought`` is such reasoning.
    """

    tokens: Tokens
    ending: Ending = field(default_factory=Ending)
    prefix: str = ""
    thought: str = ""


def random_id(chance: Random) -> str:
    """Return 32 letters and digits, llama-server's form of every id."""
    return "".join(chance.choices(ID_LETTERS, k=32))


def letters(value: Any) -> Iterator[Token]:
    """Yield a JSON value one character per token, as a grammar makes them."""
    for letter in orjson.dumps(value).decode():
        yield text.token(letter)


def tool_calls(calls: list[tuple[str, Any]], chance: Random) -> Tokens:
    """Yield the tokens of tool calls ``(name, arguments)``: first id and name, then bytes."""
    for index, (name, arguments) in enumerate(calls):
        spelled = orjson.dumps(arguments).decode()
        function: dict[str, Any] = {"name": name, "arguments": spelled[0]}
        head = {"index": index, "id": random_id(chance), "type": "function", "function": function}
        yield None  # the <tool_call> tag
        yield _call_token(head, spelled[0])
        for letter in spelled[1:]:
            yield _call_token({"index": index, "function": {"arguments": letter}}, letter)


def _call_token(call: dict[str, Any], letter: str) -> Token:
    return Token("tool_calls", letter, b'""', b'"tool_calls":[%b]' % orjson.dumps(call))


def arguments_for(tool: dict[str, Any], chance: Random) -> Any:
    """Return arguments that satisfy a tool's parameters."""
    function = tool.get("function")
    return value_for(function.get("parameters", {}) if isinstance(function, dict) else {}, chance)


def skip(tokens: Tokens, reasoning: str, content: str) -> Tokens:
    """Leave out what was said already, so a continued answer goes on where it broke off.

    When the text said so far is not what this plan would say, the plan goes on unchanged
    behind it.
    """
    ahead = list(islice(tokens, 4096))
    whole = chain(ahead, tokens)
    said = {"reasoning_content": reasoning, "content": content}
    planned = {
        kind: "".join(each.text for each in ahead if each and each.kind == kind) for kind in said
    }
    if content and not reasoning:  # an empty thought was put before it: no thinking now
        said["reasoning_content"] = planned["reasoning_content"]
    if not all(planned[kind].startswith(said[kind]) for kind in said):
        yield from (each for each in whole if not content or not each or each.kind == "content")
        return
    left = {kind: len(said[kind]) for kind in said}
    for each in whole:
        if each is None and any(left.values()):
            continue  # the end of the thinking, say: it stands before the text
        over = left.get(each.kind, 0) if each else 0
        if each is None or not over:
            yield each
            continue
        left[each.kind] = max(0, over - len(each.text))
        if over < len(each.text):
            yield text.token(each.text[over:], each.kind)


def until_stop(tokens: Tokens, stops: list[str], ending: Ending) -> Tokens:
    """End before the first stop word, holding back text that may be its beginning."""
    held = ""
    for each in tokens:
        if each is None or each.kind != "content":
            yield each
            continue
        held += each.text
        found = [(held.find(stop), stop) for stop in stops if stop in held]
        if found:
            position, stop = min(found)
            ending.finish_reason, ending.stop_type = "stop", "word"
            ending.stopping_word = stop
            yield text.token(held[:position]) if position else None
            return
        keep = _partial(held, stops)
        send, held = held[: len(held) - keep], held[len(held) - keep :]
        yield (each if send == each.text else text.token(send)) if send else None
    if held:
        yield text.token(held)


def _partial(held: str, stops: list[str]) -> int:
    """Return the length of the longest end of ``held`` that begins a stop word."""
    longest = min(len(held), max(map(len, stops)) - 1)
    for size in range(longest, 0, -1):
        if any(stop.startswith(held[-size:]) for stop in stops):
            return size
    return 0
