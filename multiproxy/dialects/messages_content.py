"""The messages of a Messages request as Chat messages, in the client's order.

``conversation.arrange`` brings the result into the shape that templates accept. Blocks that
only Anthropic's servers could have made come with conversations that moved here; they are
kept as text.
"""

from collections.abc import Sequence
from typing import Any

from multiproxy.dialects.arguments import sanitised_arguments
from multiproxy.dialects.conversation import Message, joined
from multiproxy.dialects.ids import backend_id
from multiproxy.dialects.media import Part, text_part
from multiproxy.dialects.messages_blocks import BlockReader
from multiproxy.dialects.messages_fields import is_text, object_at, string_at, wrong_type
from multiproxy.dialects.messages_system import system_text
from multiproxy.dialects.names import NameMap
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.sealed_text import unseal
from multiproxy.errors import InvalidRequest

_ROLES = ("user", "assistant", "system")
_IGNORED_OF_USER = ("thinking", "redacted_thinking", "tool_use")
_ERROR_STARTS = ("error", "<tool_use_error>")


class MessageReader:
    """Reads the messages of one request."""

    def __init__(self, names: NameMap, policy: Policy) -> None:
        self._names = names
        self._policy = policy
        self._blocks = BlockReader(policy)

    def read(self, messages: Sequence[object]) -> list[Message]:
        """Chat messages for ``messages``.

        Raises:
            InvalidRequest: a message or block is malformed or of an unknown type.
            Unsupported: a block that this server cannot handle, in the last user turn.
        """
        roles = [_role(message, f"messages[{index}]") for index, message in enumerate(messages)]
        last_user = max((i for i, role in enumerate(roles) if role == "user"), default=-1)
        out: list[Message] = []
        for index, role in enumerate(roles):
            content = object_at(messages[index], "messages").get("content")
            where = f"messages[{index}].content"
            if role == "system":
                out.append({"role": "system", "content": system_text(content, where)})
            elif isinstance(content, str):
                out.append({"role": role, "content": content})
            elif not isinstance(content, list):
                raise wrong_type(where, "a string or a list of blocks")
            elif role == "user":
                out += self._user(content, where, is_last_turn=index == last_user)
            else:
                out += self._assistant(content, where)
        return out

    def _user(self, blocks: list[Any], where: str, *, is_last_turn: bool) -> list[Message]:
        """The results first, then one user message with everything else."""
        results: list[Message] = []
        parts: list[Part] = []
        for index, item in enumerate(blocks):
            path = f"{where}[{index}]"
            block = object_at(item, path)
            if block.get("type") == "tool_result":
                result, attached = self._result(block, path)
                results.append(result)
                parts += attached
            elif block.get("type") not in _IGNORED_OF_USER:
                parts += self._blocks.parts(block, path, is_last_turn=is_last_turn)
        if parts:
            results.append({"role": "user", "content": joined(parts)})
        return results

    def _result(self, block: dict[str, Any], where: str) -> tuple[Message, list[Part]]:
        """The tool message, and the images that have to follow it in a user message."""
        content = block.get("content")
        parts: list[Part] = []
        if isinstance(content, str):
            parts = [text_part(content)]
        elif content is not None:
            if not isinstance(content, list):
                raise wrong_type(f"{where}.content", "a string or a list of blocks")
            for index, item in enumerate(content):
                path = f"{where}.content[{index}]"
                parts += self._blocks.parts(object_at(item, path), path, is_last_turn=False)
        attached: list[Part] = []
        if not self._policy.is_llama_cpp:
            attached = [part for part in parts if part["type"] != "text"]
            if attached:
                parts = [part for part in parts if part["type"] == "text"]
                parts.append(text_part("[image attached below]"))
        text = joined(parts, "\n") if parts else ""
        if block.get("is_error") is True:
            text = _as_error(text)
        call_id = backend_id(string_at(block, "tool_use_id", where))
        return {"role": "tool", "tool_call_id": call_id, "content": text}, attached

    def _assistant(self, blocks: list[Any], where: str) -> list[Message]:
        before: list[Message] = []
        texts: list[str] = []
        reasoning: list[str] = []
        calls: list[dict[str, Any]] = []
        for index, item in enumerate(blocks):
            path = f"{where}[{index}]"
            block = object_at(item, path)
            match block.get("type"):
                case "text":
                    texts.append(string_at(block, "text", path))
                case "thinking":
                    reasoning.append(_thinking(block))
                case "redacted_thinking":
                    reasoning.append(unseal(block.get("data")) or "")
                case "tool_use":
                    calls.append(self._call(block, path))
                case "compaction":
                    summary = block.get("content")
                    if isinstance(summary, str) and summary:
                        before.append({"role": "user", "content": summary})
                case _:
                    texts.append(self._blocks.foreign_text(block, path))
        message: Message = {"role": "assistant", "content": "".join(texts)}
        if thoughts := [text for text in reasoning if text]:
            message["reasoning_content"] = "\n".join(thoughts)
        if calls:
            message["tool_calls"] = calls
        return [*before, message]

    def _call(self, block: dict[str, Any], where: str) -> dict[str, Any]:
        name = string_at(block, "name", where)
        return {
            "id": backend_id(string_at(block, "id", where)),
            "type": "function",
            "function": {
                "name": self._names.chat_name(name),
                "arguments": sanitised_arguments(block.get("input")),
            },
        }


def call_ids(messages: Sequence[object]) -> frozenset[str]:
    """The ids of all calls in the conversation, as the client knows them."""
    ids = set()
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_use":
                ids.add(str(block.get("id")))
    return frozenset(ids)


def _role(message: object, where: str) -> str:
    role = object_at(message, where).get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise InvalidRequest(
            "Input should be 'user', 'assistant' or 'system'", param=f"{where}.role"
        )
    return role


def _thinking(block: dict[str, Any]) -> str:
    """The text; where it was withheld from the client, it travelled in the signature."""
    text = block.get("thinking")
    if isinstance(text, str) and text:
        return text
    return unseal(block.get("signature")) or ""


def _as_error(content: str | list[Part]) -> str | list[Part]:
    """The content with a mark, unless it says itself that it is an error."""
    if isinstance(content, str):
        if content.lower().startswith(_ERROR_STARTS):
            return content
        return f"[tool error] {content}"
    if is_text(content[0]):
        return [text_part(str(_as_error(content[0]["text"]))), *content[1:]]
    return [text_part("[tool error]"), *content]
