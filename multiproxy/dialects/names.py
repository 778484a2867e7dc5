"""Tool names: what a client calls a tool, and what the backend may call it.

Chat allows 64 letters, digits, ``_`` and ``-``; Messages allows more, Responses has
namespaces. The map is a function of the tool list alone: names at the head of a prompt that
changed from turn to turn would cost the engine its prefix cache.
"""

import re
from hashlib import sha256
from typing import NamedTuple

_MAX_LENGTH = 64
_HASH_LENGTH = 8
_KEPT = _MAX_LENGTH - _HASH_LENGTH - 1
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]")


class ToolName(NamedTuple):
    """A tool as the client names it; ``namespace`` only in Responses."""

    name: str
    namespace: str | None = None


class NameMap:
    """The names of one request's tools, both ways."""

    def __init__(self) -> None:
        self._to_chat: dict[ToolName, str] = {}
        self._to_client: dict[str, ToolName] = {}

    def add(self, name: str, namespace: str | None = None) -> str:
        """The Chat name of a tool in the request's list; the same each time."""
        tool = ToolName(name, namespace)
        known = self._to_chat.get(tool)
        if known is not None:
            return known
        chat_name = _flat(tool)
        if not _is_allowed(chat_name) or chat_name in self._to_client:
            clean = _NOT_ALLOWED.sub("_", chat_name) or "_"
            long = len(clean) > _MAX_LENGTH
            chat_name = _hashed(clean, tool) if long or clean in self._to_client else clean
        self._to_chat[tool] = chat_name
        self._to_client[chat_name] = tool
        return chat_name

    def chat_name(self, name: str, namespace: str | None = None) -> str:
        """The Chat name of a call in the history, whose tool may not be in the list."""
        tool = ToolName(name, namespace)
        known = self._to_chat.get(tool)
        if known is not None:
            return known
        clean = _NOT_ALLOWED.sub("_", _flat(tool)) or "_"
        return clean if len(clean) <= _MAX_LENGTH else _hashed(clean, tool)

    def original(self, chat_name: str) -> ToolName:
        """The client's name of a tool that the model called.

        Models drop namespaces; a bare name counts when it can mean one member only. A name
        that nobody knows comes back as the model wrote it.
        """
        known = self._to_client.get(chat_name)
        if known is not None:
            return known
        bare = ToolName(chat_name)
        if bare not in self._to_chat:
            members = [tool for tool in self._to_chat if tool.name == chat_name]
            if len(members) == 1:
                return members[0]
        return bare


def _flat(tool: ToolName) -> str:
    if tool.namespace is None:
        return tool.name
    separator = "" if tool.namespace.endswith("__") else "__"
    return f"{tool.namespace}{separator}{tool.name}"


def _is_allowed(name: str) -> bool:
    return 0 < len(name) <= _MAX_LENGTH and not _NOT_ALLOWED.search(name)


def _hashed(clean: str, tool: ToolName) -> str:
    identity = f"{tool.namespace or ''}\0{tool.name}".encode("utf-8", "replace")
    return f"{clean[:_KEPT]}_{sha256(identity).hexdigest()[:_HASH_LENGTH]}"
