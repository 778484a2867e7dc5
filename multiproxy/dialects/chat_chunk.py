"""What one parsed Chat chunk says, member by member; see ``chat_stream`` for whole answers."""

from collections.abc import Iterator
from typing import Any

import orjson

from multiproxy.dialects.events import (
    Event,
    Progress,
    Reasoning,
    Refusal,
    StopInfo,
    Text,
    ToolFragment,
    Usage,
)

# Top-level members of a chunk that say more than a delta does.
_SPECIAL = frozenset(("error", "prompt_progress", "usage", "timings", "__verbose"))


def plain_event(chunk: Any) -> Event | None:
    """The event of a chunk with one choice whose delta is one string, else None."""
    try:
        (choice,) = chunk["choices"]
        delta = choice["delta"]
        if (
            len(delta) != 1
            or choice["finish_reason"] is not None
            or choice["index"] != 0
            or len(choice) != 3
            or not _SPECIAL.isdisjoint(chunk)
        ):
            return None
        ((key, value),) = delta.items()
        if key == "tool_calls":
            (call,) = value
            return _plain_fragment(call["index"], call["function"]) if len(call) == 2 else None
    except (LookupError, TypeError, ValueError, AttributeError):
        return None  # not the common case
    if type(value) is not str or not value:
        return None
    if key == "content":
        return Text(value)
    return Reasoning(value) if key == "reasoning_content" else None


def _plain_fragment(index: object, function: dict[str, Any]) -> ToolFragment | None:
    arguments = function["arguments"]
    if len(function) != 1 or type(index) is not int or type(arguments) is not str:
        return None
    return ToolFragment(index, "", "", arguments)


def delta_events(delta: dict[str, Any], logprobs: object) -> list[Event]:
    """What a ``delta`` or a whole ``message`` says, in the order of the events' classes.

    Raises:
        TypeError: the content is neither a string nor a list of parts.
    """
    out: list[Event] = []
    content = delta.get("content")
    reasoning = delta.get("reasoning_content") or delta.get("reasoning")
    if reasoning and isinstance(reasoning, str):
        out.append(Reasoning(reasoning))
    if isinstance(content, list):
        out += _parts(content)
    elif isinstance(content, str):
        entries = logprobs.get("content") if isinstance(logprobs, dict) else None
        if content:
            out.append(Text(content, entries if isinstance(entries, list) else None))
    elif content is not None:
        raise TypeError(type(content))
    refusal = delta.get("refusal")
    if refusal and isinstance(refusal, str):
        out.append(Refusal(refusal))
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        out += (fragment_of(call) for call in calls if isinstance(call, dict))
    legacy = delta.get("function_call")
    if isinstance(legacy, dict):
        out.append(fragment_of({"index": 0, "function": legacy}))
    return out


def _parts(parts: list[object]) -> Iterator[Event]:
    """Content as a list: Mistral's way of sending text and thinking."""
    for part in parts:
        if not isinstance(part, dict):
            continue
        if part.get("type") == "thinking":
            thinking = part.get("thinking")
            if isinstance(thinking, list):
                texts = [item.get("text") for item in thinking if isinstance(item, dict)]
                thinking = "".join(text for text in texts if isinstance(text, str))
            if thinking and isinstance(thinking, str):
                yield Reasoning(thinking)
        else:
            text = part.get("text")
            if text and isinstance(text, str):
                yield Text(text)


def fragment_of(call: dict[str, object]) -> ToolFragment:
    """One entry of ``tool_calls``; arguments that are no string become their JSON."""
    index, call_id = call.get("index"), call.get("id")
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(arguments, str):  # Ollama sends an object
        arguments = "" if arguments is None else orjson.dumps(arguments).decode()
    return ToolFragment(
        index if isinstance(index, int) else None,
        "" if call_id is None else str(call_id),
        name if isinstance(name, str) else "",
        arguments,
    )


def progress_of(progress: object) -> Progress | None:
    """llama-server's ``prompt_progress``."""
    if not isinstance(progress, dict):
        return None
    total, cache = count_of(progress.get("total")), count_of(progress.get("cache"))
    return Progress(total, cache, count_of(progress.get("processed")))


def stop_info_of(verbose: object) -> StopInfo | None:
    """llama-server's ``__verbose``, of which we ask for three members."""
    if not isinstance(verbose, dict) or not isinstance(verbose.get("stop_type"), str):
        return None
    word = verbose.get("stopping_word")
    word = word if isinstance(word, str) else ""
    return StopInfo(verbose["stop_type"], word, verbose.get("truncated") is True)


def usage_of(usage: object, timings: object) -> Usage | None:
    """``usage``; without it what ``timings`` count, None without both."""
    timings = timings if isinstance(timings, dict) else None
    if not isinstance(usage, dict):
        if timings is None:
            return None
        reused, prompt = count_of(timings.get("cache_n")), count_of(timings.get("prompt_n"))
        return Usage(reused + prompt, reused, count_of(timings.get("predicted_n")), 0, timings)
    prompt_details = usage.get("prompt_tokens_details")
    cached = prompt_details.get("cached_tokens") if isinstance(prompt_details, dict) else None
    if cached is None and timings:
        cached = timings.get("cache_n")
    output_details = usage.get("completion_tokens_details")
    reasoning = output_details.get("reasoning_tokens") if isinstance(output_details, dict) else None
    return Usage(
        count_of(usage.get("prompt_tokens")),
        count_of(cached),
        count_of(usage.get("completion_tokens")),
        count_of(reasoning),
        timings,
    )


def count_of(value: object) -> int:
    """A number of tokens; 0 for whatever is none."""
    if type(value) is int:  # nearly always
        return value if 0 <= value < 2**53 else 0
    return int(value) if isinstance(value, float) and 0 <= value < 2**53 else 0
