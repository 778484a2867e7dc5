"""The items of a Responses conversation as Chat messages, in the client's order.

``conversation.arrange`` then puts results behind their calls and merges what belongs to one
turn. So an item here becomes a message of its own: consecutive reasoning, text and calls
are merged into one assistant message later.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from multiproxy.dialects.arguments import sanitised_arguments
from multiproxy.dialects.conversation import Message
from multiproxy.dialects.media import Media
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.request import encoded
from multiproxy.dialects.responses_builtin import BY_ITEM, shell_output_text
from multiproxy.dialects.responses_content import ContentReader
from multiproxy.dialects.responses_tools import ToolMap
from multiproxy.dialects.sealed_text import unseal
from multiproxy.errors import InvalidRequest, NotFound, Unsupported

Item = dict[str, Any]

_ASSISTANT_TYPES = frozenset({"reasoning", "function_call", "custom_tool_call", *BY_ITEM})
_SHOWN_MEMBERS = (
    "name", "arguments", "action", "queries", "code", "output", "outputs", "error",
)  # fmt: skip
_FOREIGN_TYPES = (
    "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call",
    "computer_call", "computer_call_output", "mcp_call", "mcp_list_tools",
    "mcp_approval_request", "mcp_approval_response", "program", "program_output",
)  # fmt: skip


def resolve(items: Sequence[object], stored: Mapping[str, Item], where: str) -> list[Item]:
    """The client's items as objects with a ``type``, references replaced by what they name.

    Raises:
        InvalidRequest: an item is not an object, or its type is not a string.
        NotFound: a reference is not in ``stored``.
    """
    resolved = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidRequest(
                "Expected an object.", param=f"{where}[{index}]", code="invalid_type"
            )
        if is_reference(item):
            item_id = item["id"]
            if item_id not in stored:
                raise NotFound(
                    f"Item with id '{item_id}' not found.",
                    param=f"{where}[{index}].id",
                    code="item_not_found",
                )
            item = stored[item_id]
        elif item.get("type") is None and "role" in item:
            item = {**item, "type": "message"}
        elif not isinstance(item.get("type"), str):
            raise InvalidRequest(
                "Expected a string.", param=f"{where}[{index}].type", code="invalid_type"
            )
        resolved.append(item)
    return resolved


def is_reference(item: object) -> bool:
    """Whether ``item`` only names an earlier one."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        return False
    return item.get("type") == "item_reference" or item.keys() == {"id"}


def call_ids(items: Sequence[Item]) -> frozenset[str]:
    """The ids of the calls in ``items``: a new call must not repeat one."""
    return frozenset(
        item["call_id"]
        for item in items
        if item.get("type") in _ASSISTANT_TYPES and isinstance(item.get("call_id"), str)
    )


class ItemReader:
    """Turns resolved items into Chat messages with the names of one tool map."""

    def __init__(self, tools: ToolMap, policy: Policy) -> None:
        self._tools = tools
        self._policy = policy
        self._content = ContentReader(Media(policy))
        # Some clients name the item, not the call, in a local shell's output.
        self._call_of_item: dict[str, str] = {}

    def read(self, items: Sequence[Item], where: str, first: int = 0) -> list[Message]:
        """The messages of ``items``; ``first`` of them come from the store, not the client.

        Raises:
            InvalidRequest: an unknown type, or a member that is missing or of a wrong type.
            Unsupported: something that this server cannot do.
        """
        last_turn = _start_of_last_turn(items)
        messages: list[Message] = []
        for index, item in enumerate(items):
            path = f"{where}[{index - first}]" if index >= first else "previous_response_id"
            kind = item["type"]
            if kind == "message":
                messages.append(self._message(item, path, is_last_turn=index >= last_turn))
            elif kind in ("additional_tools", "configuration_update"):
                continue  # read before the messages: they change the tools and the options
            elif kind == "compaction_trigger":
                raise Unsupported("Compaction is not supported by this server.", param=path)
            elif kind in _READERS:
                messages += _READERS[kind](self, item, path)
            else:
                raise InvalidRequest(f"Unknown item type {kind!r:.64}.", param=f"{path}.type")
        return messages

    def instructions(self, instructions: object) -> list[Message]:
        """The leading system message; a list of items has been seen too.

        Raises:
            InvalidRequest: neither a string nor a list of objects.
        """
        if isinstance(instructions, str):
            return [{"role": "system", "content": instructions}]
        if not isinstance(instructions, list):
            raise InvalidRequest("Expected a string.", param="instructions", code="invalid_type")
        return [
            {**message, "role": "system"}
            for message in self.read(resolve(instructions, {}, "instructions"), "instructions")
        ]

    def _message(self, item: Item, path: str, *, is_last_turn: bool) -> Message:
        content, where = item.get("content"), f"{path}.content"
        match item.get("role"):
            case "user":
                return {
                    "role": "user",
                    "content": self._content.user(content, where, is_last_turn=is_last_turn),
                }
            case "assistant":
                return {"role": "assistant", "content": self._content.text(content, where)}
            case "system" | "developer":
                return {"role": "system", "content": self._content.text(content, where)}
            case role:
                raise InvalidRequest(f"Unknown role {role!r:.64}.", param=f"{path}.role")

    def read_reasoning(self, item: Item, path: str) -> Iterator[Message]:
        text = unseal(item.get("encrypted_content"))
        for member in ("content", "summary"):
            if not text and item.get(member):
                text = self._content.text(item[member], f"{path}.{member}")
        if text:
            yield {"role": "assistant", "content": "", "reasoning_content": text}

    def read_function_call(self, item: Item, path: str) -> Iterator[Message]:
        name = self._tools.chat_name(_string(item, "name", path), item.get("namespace"))
        yield _call(item, path, name, sanitised_arguments(item.get("arguments")))

    def read_custom_call(self, item: Item, path: str) -> Iterator[Message]:
        name = self._tools.chat_name(_string(item, "name", path), item.get("namespace"))
        yield _call(item, path, name, sanitised_arguments({"input": item.get("input") or ""}))

    def read_builtin_call(self, item: Item, path: str) -> Iterator[Message]:
        builtin = BY_ITEM[item["type"]]
        if item.get("call_id") is None and item["type"] == "tool_search_call":
            return  # searched by a server elsewhere; its result only adds tools
        call = _call(item, path, builtin.name, sanitised_arguments(builtin.arguments(item)))
        if isinstance(item.get("id"), str):
            self._call_of_item[item["id"]] = item["call_id"]
        yield call

    def read_output(self, item: Item, path: str) -> Iterator[Message]:
        output = item.get("output")
        if item["type"] == "shell_call_output":
            output = shell_output_text(output)
        if item.get("call_id") is None:
            item = {**item, "call_id": self._call_of_item.get(str(item.get("id")))}
        yield from self._result(item, path, self._content.tool_output(output, f"{path}.output"))

    def read_tool_search_output(self, item: Item, path: str) -> Iterator[Message]:
        if item.get("call_id") is None:
            return
        tools = item.get("tools")
        names = [
            tool["name"]
            for tool in (tools if isinstance(tools, list) else ())
            if isinstance(tool, dict) and isinstance(tool.get("name"), str)
        ]
        yield from self._result(item, path, f"Tools loaded: {', '.join(names) or 'none'}")

    def _result(self, item: Item, path: str, content: Any) -> Iterator[Message]:
        call_id = _string(item, "call_id", path)
        if isinstance(content, list) and not self._policy.is_llama_cpp:
            images = [part for part in content if part["type"] != "text"]
            texts = [part["text"] for part in content if part["type"] == "text"]
            content = "\n".join([*texts, "[image attached below]"])
            yield {"role": "tool", "tool_call_id": call_id, "content": content}
            yield {"role": "user", "content": images}
        else:
            yield {"role": "tool", "tool_call_id": call_id, "content": content}

    def read_compaction(self, item: Item, path: str) -> Iterator[Message]:
        if text := unseal(item.get("encrypted_content")):
            yield {"role": "user", "content": text}

    def read_foreign(self, item: Item, path: str) -> Iterator[Message]:
        """A hosted tool's call from a conversation that moved here from elsewhere."""
        shown = {key: item[key] for key in _SHOWN_MEMBERS if item.get(key)}
        if shown and item["type"] != "computer_call_output":
            text = f"[{item['type']}] {encoded(shown).decode()}\n"
            yield {"role": "assistant", "content": text}


_READERS: Mapping[str, Callable[[ItemReader, Item, str], Iterator[Message]]] = MappingProxyType(
    {
        "reasoning": ItemReader.read_reasoning,
        "function_call": ItemReader.read_function_call,
        "function_call_output": ItemReader.read_output,
        "custom_tool_call": ItemReader.read_custom_call,
        "custom_tool_call_output": ItemReader.read_output,
        "compaction": ItemReader.read_compaction,
        **dict.fromkeys(BY_ITEM, ItemReader.read_builtin_call),
        **dict.fromkeys([f"{name}_output" for name in BY_ITEM], ItemReader.read_output),
        "tool_search_output": ItemReader.read_tool_search_output,
        **dict.fromkeys(_FOREIGN_TYPES, ItemReader.read_foreign),
    }
)


def _start_of_last_turn(items: Sequence[Item]) -> int:
    """The index behind the last thing the model said."""
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if item.get("type") in _ASSISTANT_TYPES or item.get("role") == "assistant":
            return index + 1
    return 0


def _call(item: Item, path: str, name: str, arguments: str) -> Message:
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": _string(item, "call_id", path),
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
        ],
    }


def _string(item: Item, key: str, path: str) -> str:
    value = item.get(key)
    if value is None:
        raise InvalidRequest(
            f"Missing required parameter: '{path}.{key}'.",
            param=f"{path}.{key}",
            code="missing_required_parameter",
        )
    if not isinstance(value, str):
        raise InvalidRequest("Expected a string.", param=f"{path}.{key}", code="invalid_type")
    return value
