"""Brings translated messages into the order and shape that strict chat templates accept.

Both dialects let a client say things that a template refuses: system messages in the
middle, two user messages in a row, a message between a call and its result. Both request
mappers therefore write a plain list of Chat messages in the client's order, and
``arrange`` does the rest, in one pass:

* results follow their calls at once; whatever the client put between is held until then;
* a system message in the middle becomes marked text of the user or tool message before it.
  Only the tail of the prompt changes from turn to turn that way, so the engine's prefix
  cache survives; forwarding it makes many templates fail, hoisting it rewrites the head;
* neighbours of one role are merged, tool messages never.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from multiproxy.dialects.policy import Policy

Message = dict[str, Any]
"""A Chat message: ``role``, ``content`` (string or parts), ``tool_calls``, ..."""

_NO_RESULT = "[no result]"


def arrange(messages: Sequence[Message], policy: Policy) -> list[Message]:
    """The same conversation as one leading system message and alternating turns.

    ``messages`` are not changed; the time is linear in their size. Assistant messages with
    nothing in them are dropped, and a trailing one of only white space, which an engine would
    take for the start of its answer. Of several results for one call the first is kept.
    """
    system, rest = _split_leading_system(messages)
    turns: list[list[Message]] = []
    for message in _with_results_behind_calls(rest):
        if message["role"] == "system":
            _place_system(message, turns, system, policy)
        elif turns and turns[-1][0]["role"] == message["role"] != "tool":
            turns[-1].append(message)
        elif message["role"] != "assistant" or not _is_empty(message):
            turns.append([message])
    out = [_merged(turn) for turn in turns]
    if out and _is_blank(out[-1]):
        out.pop()
    if policy.engine == "strict":
        out = _paired(out)
    text = "\n\n".join(system)
    return [{"role": "system", "content": text}, *out] if text else out


def text_of(content: object, separator: str = "\n\n") -> str:
    """The text of a message's content: a string, or its text parts joined."""
    if isinstance(content, list):
        return separator.join(part["text"] for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def joined(parts: list[dict[str, Any]], separator: str = "\n\n") -> str | list[dict[str, Any]]:
    """``parts`` as a message's content: one string if they are only text.

    Some templates put parts together without a separator; a string is the same everywhere.
    """
    if all(part.get("type") == "text" for part in parts):
        return text_of(parts, separator)
    return parts


def _split_leading_system(messages: Sequence[Message]) -> tuple[list[str], Sequence[Message]]:
    texts: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] != "system":
            return texts, messages[index:]
        if text := text_of(message["content"]):
            texts.append(text)
    return texts, ()


def _with_results_behind_calls(messages: Sequence[Message]) -> Iterator[Message]:
    """Every turn of calls followed at once by its results, the rest in the given order."""
    results, moved = _results_of_calls(messages)
    due: list[int] = []
    for index, message in enumerate(messages):
        if due and message["role"] != "assistant":  # the turn is over, by its results or not
            yield from (messages[result] for result in sorted(due))
            due.clear()
        if index not in moved:
            yield message
            due += results.get(index, ())
    yield from (messages[result] for result in sorted(due))


def _results_of_calls(messages: Sequence[Message]) -> tuple[dict[int, list[int]], set[int]]:
    """Where the results of each message's calls are, and which indices leave their place.

    Walked from the end, because servers that number calls from 0 in every turn make the
    same id mean several calls. A repeated result leaves and has no new place.
    """
    first_result: dict[str, int] = {}
    results: dict[int, list[int]] = {}
    moved: set[int] = set()
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message["role"] == "tool":
            if (repeated := first_result.get(message["tool_call_id"])) is not None:
                moved.add(repeated)
            first_result[message["tool_call_id"]] = index
        for call in message.get("tool_calls", ()):
            if (result := first_result.pop(call["id"], None)) is not None:
                results.setdefault(index, []).append(result)
                moved.add(result)
    return results, moved


def _place_system(
    message: Message, turns: list[list[Message]], system: list[str], policy: Policy
) -> None:
    text = text_of(message["content"])
    if not text:
        return
    if policy.mid_system == "hoist":
        system.append(text)
    elif policy.mid_system == "keep":
        turns.append([{"role": "system", "content": text}])
    else:
        reminder = {"role": "user", "content": policy.reminder.replace("{text}", text)}
        # Behind a result it joins the result: templates that keep the reasoning only since
        # the last user turn would forget it if a user message came here.
        if turns and turns[-1][0]["role"] in ("user", "tool"):
            turns[-1].append(reminder)
        else:
            turns.append([reminder])


def _merged(turn: list[Message]) -> Message:
    """One message with the first one's role; the others' text and parts follow its own."""
    if len(turn) == 1:
        return turn[0]
    first = dict(turn[0])
    contents = [message["content"] for message in turn if message["content"]]
    if first["role"] == "assistant":
        first["content"] = "".join(text_of(content, "") for content in contents)
        if reasoning := [m["reasoning_content"] for m in turn if m.get("reasoning_content")]:
            first["reasoning_content"] = "\n".join(reasoning)
        if calls := [call for message in turn for call in message.get("tool_calls", ())]:
            first["tool_calls"] = calls
    else:
        first["content"] = joined([part for content in contents for part in _parts(content)])
    return first


def _parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _is_empty(message: Message) -> bool:
    return not (message["content"] or message.get("reasoning_content") or message.get("tool_calls"))


def _is_blank(message: Message) -> bool:
    return message["role"] == "assistant" and _is_empty(
        {**message, "content": text_of(message["content"]).strip()}
    )


def _paired(messages: list[Message]) -> list[Message]:
    """For engines that count: no result without its call, no call without a result."""
    paired: list[Message] = []
    unanswered: dict[str, None] = {}
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] in unanswered:
                del unanswered[message["tool_call_id"]]
                paired.append(message)
            continue
        paired += map(_no_result, unanswered)
        unanswered = {call["id"]: None for call in message.get("tool_calls", ())}
        paired.append(message)
    return [*paired, *map(_no_result, unanswered)]


def _no_result(call_id: str) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": _NO_RESULT}
