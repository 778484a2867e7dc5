"""What makes two requests parts of one conversation: its name, and its prompt block by block.

A backend keeps the prompt it has read; the next turn of the same conversation is cheap there
and dear elsewhere. Here a request is cut into what stays equal from turn to turn: the head
(system and tools), then each message. What changes although the prompt means the same is
left out: Claude Code's billing line, the marks that say what to cache, the date.

Runs for every request that several backends could serve, so it never raises: what has an
unknown form is refused elsewhere, or simply has no blocks.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from multiproxy.dialects.messages_system import without_billing

# In this order: what names one conversation before what may name a whole user.
SESSION_HEADERS = (
    b"x-session-id", b"session-id", b"session_id", b"thread-id", b"x-claude-code-session-id",
)  # fmt: skip
MAX_SESSION = 256  # bytes of a name that count
PIECE = 4096  # characters of a bare prompt that are one turn
LAST = 16  # turns from the end that are told apart: a request rarely adds more to the one before
_DATE_IS_NEAR = ("oday's date", "urrent date", "urrent Date", "urrent time", "urrent Time")
_DATE_LENGTH = 64  # characters behind these words
_CACHE_MARK = re.compile(rb',?"cache_control":(?:null|\{[^{}]*\})')
_MEDIA = re.compile(rb'"type":"(?:image|input_image|input_audio|input_file|document|file|video)')
_SYSTEM = ("system", "developer")


class Prefix(NamedTuple):
    """A prompt of ``size`` bytes in ``turns``, cut where the next turn may differ.

    ``head`` stands for system and tools (of tools it has the names only). Then come the
    ``first`` turn, those in the ``middle`` as one, and each of the ``last``; a comma is between
    turns, wherever they stand. Of a long ``session``, which the client named, the first is
    enough: then ``middle`` is None.
    """

    session: bytes
    head: bytes
    first: bytes
    middle: bytes | None
    last: list[bytes]
    size: int
    turns: int


def prefix_of(
    header: Callable[[bytes], bytes | None], data: Mapping[str, Any], size: int
) -> Prefix:
    """Cut a request. ``header`` looks up a field by its lower-case name.

    ``size`` is the body's length in bytes, 0 when it is not known.
    """
    system, turns = _parts(data)
    head = _head(system, data.get("tools"))
    session = session_of(header, data)
    if not turns:
        return Prefix(session, head, b"", b"", [], max(size, len(head)), 0)
    first = _turn(turns[0])
    if session and size and len(turns) > LAST:
        return Prefix(session, head, first, None, [], size, len(turns))
    cut = max(1, len(turns) - LAST)
    middle = _turn(turns[1:cut])[1:-1] if cut > 1 else b""
    last = [_turn(turn) for turn in turns[cut:]]
    known = len(first) + len(middle) + sum(map(len, last))
    return Prefix(session, head, first, middle, last, max(size, known + len(head)), len(turns))


def blocks_of(data: Mapping[str, Any]) -> list[bytes]:
    """Return system, tools, and each turn of a request, as a backend is shown them.

    Unlike ``prefix_of`` it leaves out nothing that a backend reads, the date for one.
    """
    system, turns = _parts(data)
    said = "\0".join(without_billing(_text(part)) for part in system)
    head = [said.encode("utf-8", "replace"), _turn(data.get("tools") or [])]
    return head + [_turn(turn) for turn in turns]


def holds_media(prefix: Prefix) -> bool:
    """Whether a turn has an image or a file, whose tokens its bytes do not tell."""
    turns = (prefix.first, prefix.middle or b"", *prefix.last)
    return any(_MEDIA.search(turn) is not None for turn in turns)


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


def _turn(turn: object) -> bytes:
    raw = _bytes(turn)
    if raw.find(b'"cache_control":') >= 0:  # it moves from turn to turn
        raw = _CACHE_MARK.sub(b"", raw)
    return raw


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
