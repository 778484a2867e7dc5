"""Chat messages to one prompt, and prompts to simulated tokens of four bytes."""

import json
from typing import Any

import orjson

from .wire import Refusal

BYTES_PER_TOKEN = 4


def count_tokens(text: str) -> int:
    """Return how many simulated tokens ``text`` has (at least 1)."""
    return max(1, -(-len(text.encode()) // BYTES_PER_TOKEN))


def tokenize(text: str) -> list[int]:
    """Return token ids; each id is its four bytes read as a number."""
    raw = text.encode()
    cuts = range(0, len(raw), BYTES_PER_TOKEN)
    return [int.from_bytes(raw[cut : cut + BYTES_PER_TOKEN], "big") for cut in cuts]


def piece(token_id: int) -> bytes:
    """Return the bytes of a token."""
    return token_id.to_bytes(max(1, (token_id.bit_length() + 7) // 8), "big")


def detokenize(ids: list[int]) -> str:
    """Return the text of token ids."""
    return b"".join(map(piece, ids)).decode(errors="replace")


def common_prefix(old: bytes, new: bytes) -> int:
    """Return the length in bytes of the common head, by halving (prompts are long)."""
    low, high = 0, min(len(old), len(new))
    if old[:high] == new[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def text_of(message: dict[str, Any]) -> str:
    """Return a message's text.

    Raises:
        Refusal: 500 for an image or audio, as from a model without mmproj.
    """
    content = message.get("content")
    if isinstance(content, str):
        return content
    texts = []
    for part in content if isinstance(content, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("image_url", "input_audio"):
            what = "image" if kind == "image_url" else "audio"
            raise Refusal(
                500,
                f"{what} input is not supported - hint: if this is unexpected,"
                " you may need to provide the mmproj",
            )
        texts.append(str(part.get("text", "")) if isinstance(part, dict) else "")
    return "".join(texts)


def _tool_head(messages: list[dict[str, Any]], tools: list[Any]) -> str:
    system = text_of(messages[0]) + "\n\n" if messages and _is_system(messages[0]) else ""
    listed = "".join("\n" + json.dumps(tool, ensure_ascii=False) for tool in tools)
    return (
        f"<|im_start|>system\n{system}# Tools\n\nYou may call one or more functions.\n<tools>"
        f"{listed}\n</tools>\n\nFor each call return a json object in <tool_call></tool_call>"
        ' tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
        "</tool_call><|im_end|>\n"
    )


def _is_system(message: dict[str, Any]) -> bool:
    return message.get("role") in ("system", "developer")


def _assistant(message: dict[str, Any]) -> str:
    text = text_of(message)
    for call in message.get("tool_calls") or ():
        function = call.get("function", call)
        arguments = function.get("arguments", "")
        if not isinstance(arguments, str):
            arguments = orjson.dumps(arguments).decode()
        name = function.get("name")
        text += f'\n<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'
    return text


def render(messages: list[dict[str, Any]], tools: list[Any], *, thinking: bool = False) -> str:
    """Return the prompt, ready for the assistant to speak (ChatML).

    Raises:
        Refusal: a message holds an image or audio.
    """
    parts = [_tool_head(messages, tools)] if tools else []
    for position, message in enumerate(messages):
        role = message.get("role")
        if role == "assistant":
            parts.append(f"<|im_start|>assistant\n{_assistant(message)}<|im_end|>\n")
        elif role == "tool":
            text = text_of(message)
            parts.append(f"<|im_start|>user\n<tool_response>\n{text}\n</tool_response><|im_end|>\n")
        elif not (tools and position == 0 and _is_system(message)):
            name = "system" if _is_system(message) else "user"
            parts.append(f"<|im_start|>{name}\n{text_of(message)}<|im_end|>\n")
    parts.append("<|im_start|>assistant\n" + ("<think>\n" if thinking else ""))
    return "".join(parts)
