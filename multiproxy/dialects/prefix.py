"""What makes two requests parts of one conversation: its name, and its prompt block by block.

A backend keeps the prompt it has read; the next turn of the same conversation is cheap there
and dear elsewhere. Here a request is cut into what stays equal from turn to turn: the head
(system and tools), then each message. What changes although the prompt means the same is
left out: Claude Code's billing line, the marks that say what to cache, the date.

Runs for nearly every request, so it never raises: what has an unknown form is refused
elsewhere, or simply has no blocks.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from multiproxy.dialects.messages_system import without_billing

# In this order: what names one conversation before what may name a whole user.
SESSION_HEADERS = (
    b"x-session-id", b"session-id", b"session_id", b"thread-id", b"x-claude-code-session-id",
)  # fmt: skip
MAX_SESSION = 256  # bytes of a name that count
PIECE = 4096  # characters of a bare prompt that are one turn
_DATE_IS_NEAR = ("oday's date", "urrent date", "urrent Date", "urrent time", "urrent Time")
_DATE_LENGTH = 64  # characters behind these words
_CACHE_MARK = re.compile(rb',?"cache_control":(?:null|\{[^{}]*\})')
_MEDIA = ("image", "input_image", "input_audio", "input_file", "document", "file", "video")
_SYSTEM = ("system", "developer")


class Prefix(NamedTuple):
    """A prompt as it is compared with others.

    ``head`` stands for system and tools (of tools it has the names only). A turn is told by
    its checksum, in ``sums``, and by how many bytes it has as JSON, in ``sizes``.
    ``has_media`` tells of an image or a file, whose tokens its bytes do not tell.
    """

    head: bytes
    sums: list[int]
    sizes: list[int]
    has_media: bool


def prefix_of(data: Mapping[str, Any]) -> Prefix:
    """Cut a request; this reads all of its text, so ``Request.prefix`` remembers it."""
    system, turns = _parts(data)
    sums, sizes, has_media = [], [], False
    for turn in turns:
        raw = _bytes(turn)
        if not isinstance(turn, dict):
            pass
        elif not isinstance(turn.get("content"), str):  # it is made of parts
            raw = _unmarked(raw)
            has_media = has_media or _holds_media(turn)
        elif "cache_control" in turn:
            raw = _unmarked(raw)
        sums.append(crc32(raw))
        sizes.append(len(raw))
    return Prefix(_head(system, data.get("tools")), sums, sizes, has_media)


def blocks_of(data: Mapping[str, Any], prefix: Prefix) -> tuple[list[int], list[int]]:
    """Return checksums and sizes of system, tools, and each turn, as a backend is shown them.

    Unlike ``prefix.head`` they leave out nothing that a backend reads, the date for one.
    """
    system, _ = _parts(data)
    said = "\0".join(without_billing(_text(part)) for part in system).encode("utf-8", "replace")
    tools = _unmarked(_bytes(data.get("tools") or []))
    sums, sizes = [crc32(said), crc32(tools)], [len(said), len(tools)]
    return sums + prefix.sums, sizes + prefix.sizes


def session_of(header: Callable[[bytes], bytes | None], data: Mapping[str, Any]) -> bytes:
    """What the client calls the conversation; empty when it gives no name."""
    for name in SESSION_HEADERS:
        value = header(name)
        if value:
            return value[:MAX_SESSION]
    metadata = data.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    for said in (data.get("prompt_cache_key"), user):
        if isinstance(said, str) and said:
            return said.encode("utf-8", "replace")[:MAX_SESSION]
    return b""


def _parts(data: Mapping[str, Any]) -> tuple[list[object], list[Any]]:
    """What is said as the system, and the turns."""
    system = [data[key] for key in ("system", "instructions") if data.get(key)]
    turns = data.get("messages", data.get("input"))
    if isinstance(turns, list):
        start = 0
        while start < len(turns) and _is_system(turns[start]):
            system.append(turns[start].get("content"))
            start += 1
        return system, (turns[start:] if start else turns)
    prompt = turns if isinstance(turns, str) else data.get("prompt")
    if not isinstance(prompt, str | list):
        return system, []
    piece = PIECE if isinstance(prompt, str) else PIECE // 4
    return system, [prompt[at : at + piece] for at in range(0, len(prompt), piece)]


def _is_system(turn: object) -> bool:
    return isinstance(turn, dict) and turn.get("role") in _SYSTEM


def _unmarked(raw: bytes) -> bytes:
    """JSON without the marks that say what to cache: they move from turn to turn."""
    return _CACHE_MARK.sub(b"", raw) if raw.find(b'"cache_control":') >= 0 else raw


def _holds_media(turn: dict[str, Any]) -> bool:
    """Whether a message or a tool's result has an image or a file among its parts."""
    open_: list[object] = [turn]
    while open_:
        part = open_.pop()
        if isinstance(part, dict):
            kind = part.get("type")
            if isinstance(kind, str) and kind.startswith(_MEDIA):
                return True
            for inner in (part.get("content"), part.get("output")):
                if isinstance(inner, list):
                    open_ += inner
    return False


def _head(system: list[object], tools: object) -> bytes:
    texts = [_undated(without_billing(_text(part))) for part in system]
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict):
            function = tool.get("function")
            named = function if isinstance(function, dict) else tool
            texts.append(str(named.get("name") or tool.get("type")))
    return "\0".join(texts).encode("utf-8", "replace")


def _text(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, list):
        return ""
    texts = [block.get("text") for block in part if isinstance(block, dict)]
    if texts and isinstance(texts[0], str) and not without_billing(texts[0]):
        del texts[0]
    return "\n".join(text for text in texts if isinstance(text, str))


def _undated(text: str) -> str:
    for words in _DATE_IS_NEAR:
        at = text.find(words)
        if at >= 0:
            end = at + len(words) + _DATE_LENGTH
            line_end = text.find("\n", at, end)
            text = text[:at] + text[end if line_end < 0 else line_end :]
    return text


def _bytes(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate, or nested too deeply: refused elsewhere
        return b""
