"""The blocks of user messages and tool results as parts of Chat messages.

``where`` arguments are the path of the block, ``messages[3].content[0]``.
"""

from typing import Any

import orjson

from multiproxy.dialects.media import (
    Media,
    Part,
    decode_base64,
    document_text,
    text_of_file,
    text_part,
)
from multiproxy.dialects.messages_fields import is_text, object_at, string_at, wrong_type
from multiproxy.dialects.policy import Policy
from multiproxy.errors import InvalidRequest, Unsupported

# What only Anthropic's own servers write into a conversation.
_FOREIGN = (
    "server_tool_use",
    "mcp_tool_use",
    "mcp_tool_result",
    "mcp_tool_listing",
    "container_upload",
    "fallback",
)
_FOREIGN_RESULT = "_tool_result"
_USEFUL = ("query", "title", "url", "stdout", "stderr", "text", "name", "error_code")
_MAX_USEFUL_DEPTH = 6


class BlockReader:
    """Reads the blocks of one request."""

    def __init__(self, policy: Policy) -> None:
        self._media = Media(policy)

    def parts(self, block: dict[str, Any], where: str, *, is_last_turn: bool) -> list[Part]:
        """The parts that a block of a user message or of a tool result becomes.

        Raises:
            InvalidRequest: malformed, or of an unknown type.
            Unsupported: it cannot be shown to the model, and is in the last user turn.
        """
        kind = block.get("type")
        match kind:
            case "text":
                return [text_part(string_at(block, "text", where))]
            case "image":
                return [self._image(block, where, is_last_turn=is_last_turn)]
            case "document":
                return self._document(block, where, is_last_turn=is_last_turn)
            case "search_result":
                return [text_part(_search_result(block))]
            case "tool_reference":
                return [text_part(f"Tool loaded: {string_at(block, 'tool_name', where)}")]
            case "browser_state":
                return [text_part(_compact(block))]
            case "compaction":
                return (
                    [text_part(content)] if isinstance(content := block.get("content"), str) else []
                )
            case _ if _is_foreign(kind):
                return [text_part(self.foreign_text(block, where))]
            case _:
                raise _unknown(kind, where)

    def foreign_text(self, block: dict[str, Any], where: str) -> str:
        """What an assistant's block that no backend can make says.

        Raises:
            InvalidRequest: of an unknown type.
        """
        kind = block.get("type")
        if kind in ("image", "document"):
            return f"[{kind}]"
        if not isinstance(kind, str) or not _is_foreign(kind):
            raise _unknown(kind, where)
        name = block.get("name")
        useful = _useful(block.get("input", block.get("content")), 0)
        label = name if isinstance(name, str) else kind
        return f"[{label}] {_compact(useful)}" if useful else f"[{label}]"

    def _image(self, block: dict[str, Any], where: str, *, is_last_turn: bool) -> Part:
        path = f"{where}.image.source"
        source = object_at(block.get("source"), path)
        match source.get("type"):
            case "base64":
                media_type = source.get("media_type") or "image/jpeg"
                data = string_at(source, "data", path)
                url = f"data:{media_type};base64,{data}"
                return self._media.image(url, f"{path}.data", is_last_turn=is_last_turn)
            case "url":
                url = string_at(source, "url", path)
                return self._media.image(url, f"{path}.url", is_last_turn=is_last_turn)
            case "file":
                raise Unsupported("this server has no Files API", param=f"{path}.file")
            case _:
                raise InvalidRequest("Unknown source type", param=f"{path}.type")

    def _document(self, block: dict[str, Any], where: str, *, is_last_turn: bool) -> list[Part]:
        path = f"{where}.document"
        source = object_at(block.get("source"), f"{path}.source")
        title, context = _optional(block, "title"), _optional(block, "context")
        media_type = str(source.get("media_type") or "application/pdf").lower()
        match source.get("type"):
            case "text":
                data = string_at(source, "data", f"{path}.source")
                return [text_part(document_text(data, title, context))]
            case "content":
                return self._document_content(block, source, path, is_last_turn=is_last_turn)
            case "base64":
                content = decode_base64(string_at(source, "data", f"{path}.source"))
                if content is None:
                    raise InvalidRequest("Invalid base64 data", param=f"{path}.source.data")
                text = text_of_file(media_type, title or "", content)
                if text is not None:
                    return [text_part(document_text(text, title, context))]
                size: int | None = len(content)
            case "url" | "file":
                size = None
            case _:
                raise InvalidRequest("Unknown source type", param=f"{path}.source.type")
        return [self._media.unreadable_document(media_type, size, path, is_last_turn=is_last_turn)]

    def _document_content(
        self, block: dict[str, Any], source: dict[str, Any], where: str, *, is_last_turn: bool
    ) -> list[Part]:
        """A document made of blocks: its texts in the wrapper, its images behind it."""
        content = source.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list):
            raise wrong_type(f"{where}.source.content", "a string or a list of blocks")
        texts: list[str] = []
        images: list[Part] = []
        for index, item in enumerate(content):
            path = f"{where}.source.content[{index}]"
            inner = object_at(item, path)
            if inner.get("type") == "image":
                images.append(self._image(inner, path, is_last_turn=is_last_turn))
            else:
                texts.append(string_at(inner, "text", path))
        title, context = _optional(block, "title"), _optional(block, "context")
        return [text_part(document_text("\n".join(texts), title, context)), *images]


def _search_result(block: dict[str, Any]) -> str:
    content = block.get("content")
    texts = [item["text"] for item in content if is_text(item)] if isinstance(content, list) else []
    head = [text for key in ("title", "source") if (text := _optional(block, key))]
    return "\n".join([*head, *texts])


def _useful(value: object, depth: int) -> object:
    """The members that tell a model something; the rest is ids and ciphertext."""
    if isinstance(value, str):
        return value
    if depth > _MAX_USEFUL_DEPTH:
        return None
    if isinstance(value, list):
        items = [_useful(item, depth + 1) for item in value]
        return [item for item in items if item]
    if isinstance(value, dict):
        found: dict[str, object] = {}
        for key, item in value.items():
            if key in _USEFUL and isinstance(item, str):
                found[key] = item
            elif key in ("content", "input") and (inner := _useful(item, depth + 1)):
                found[key] = inner
        return found
    return None


def _optional(block: dict[str, Any], key: str) -> str | None:
    value = block.get(key)
    return value if isinstance(value, str) and value else None


def _compact(value: object) -> str:
    return orjson.dumps(value).decode()


def _is_foreign(kind: object) -> bool:
    return isinstance(kind, str) and (kind in _FOREIGN or kind.endswith(_FOREIGN_RESULT))


def _unknown(kind: object, where: str) -> InvalidRequest:
    return InvalidRequest(f"unsupported block type {str(kind)[:64]!r}", param=f"{where}.type")
