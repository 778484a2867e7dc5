"""The tools of a Messages request: what the backend is told, and what cannot be offered.

Anthropic's client tools (bash, text editor, memory) become functions with the schema that
Claude was trained on. Server tools run at Anthropic: a request for nothing else is refused,
because Claude Code asks for a web search that way and would take what the model makes up
for search results; beside other tools they are left out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from multiproxy.dialects.messages_fields import object_at, wrong_type
from multiproxy.dialects.names import NameMap
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.request import encoded
from multiproxy.errors import InvalidRequest, Unsupported

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
_MAX_EXAMPLES = 2000  # bytes of input examples that a description can take
_EMPTY_SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}

_SERVER_TOOLS = (
    "web_search_",
    "web_fetch_",
    "code_execution_",
    "tool_search_tool_",
    "advisor_",
    "mcp_toolset",
)
_UNTRAINED_TOOLS = ("computer_", "browser_toolset_")  # clicks need a model made for them
_OLD_EDITORS = ("text_editor_20241022", "text_editor_20250124")  # they could undo


def _strings(*names: str) -> dict[str, Any]:
    return {name: {"type": "string"} for name in names}


_BASH: dict[str, Any] = {
    "type": "object",
    "properties": {"command": {"type": "string"}, "restart": {"type": "boolean"}},
}
_EDIT_MEMBERS: dict[str, Any] = {
    **_strings("path"),
    "view_range": {"type": "array", "items": {"type": "integer"}},
    **_strings("file_text", "old_str", "new_str"),
    "insert_line": {"type": "integer"},
    **_strings("insert_text"),
}


@dataclass(slots=True)
class Mentions:
    """What the conversation says about tools, which decides about deferred ones.

    ``wanted`` are names that were called or loaded; ``added`` are definitions that came with
    a system message, ``removed`` the names that one took away.
    """

    wanted: set[str] = field(default_factory=set)
    added: list[dict[str, Any]] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)


def mentions(messages: Sequence[object]) -> Mentions:
    """Read the whole conversation for calls, references and changes; never raises."""
    found = Mentions()
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        for block in _blocks(content):
            match block.get("type"):
                case "tool_use":
                    _note(found.wanted, block.get("name"))
                case "tool_reference":
                    _note(found.wanted, block.get("tool_name"))
                case "tool_result":
                    for inner in _blocks(block.get("content")):
                        if inner.get("type") == "tool_reference":
                            _note(found.wanted, inner.get("tool_name"))
                case "tool_addition":
                    _note_addition(found, block.get("tool"))
                case "tool_removal":
                    _note(found.removed, _named(block.get("tool")) or block.get("name"))
    return found


@dataclass(frozen=True, slots=True)
class OfferedTools:
    """``tools`` is what Chat is sent, in the client's order; ``dropped`` what it is not."""

    tools: list[dict[str, Any]]
    names: NameMap
    dropped: tuple[str, ...]


def offered_tools(
    tools: Sequence[object], found: Mentions, choice: Mapping[str, Any], policy: Policy
) -> OfferedTools:
    """Chat's functions for a request's tools.

    Raises:
        InvalidRequest: a tool is malformed, or a name is used twice.
        Unsupported: a tool that cannot be offered and cannot be left out.
    """
    known = [tool.get("name") for tool in tools if isinstance(tool, dict)]
    added = [tool for tool in found.added if tool["name"] not in known]
    chosen = choice.get("name")
    wanted = found.wanted | ({chosen} if isinstance(chosen, str) else set())
    chat_tools: list[dict[str, Any]] = []
    names, seen = NameMap(), set[str]()
    server: list[tuple[int, str]] = []
    offers = False  # any tool of the client's own, deferred or not
    for index, item in enumerate([*tools, *added]):
        where = f"tools[{index}]"
        tool = object_at(item, where)
        kind = tool.get("type") or "custom"
        if not isinstance(kind, str):
            raise wrong_type(f"{where}.type", "a string")
        if kind.startswith(_SERVER_TOOLS):
            if chosen is not None and chosen == tool.get("name"):
                raise _unavailable(index, kind)
            server.append((index, kind))
            continue
        name = _name(tool, where)
        if name in seen:
            raise InvalidRequest("Tool names must be unique.", param=where)
        seen.add(name)
        offers = True
        function = _function(tool, kind, name, where)
        is_deferred = tool.get("defer_loading") is True and policy.defer_loading == "honour"
        if name in found.removed or (is_deferred and name not in wanted):
            continue
        function["name"] = names.add(name)
        chat_tools.append({"type": "function", "function": function})
    if server and not offers:
        raise _unavailable(*server[0])
    return OfferedTools(chat_tools, names, tuple(f"tools.{kind}" for _, kind in server))


def chat_tool_choice(
    choice: Mapping[str, Any], offered: OfferedTools, policy: Policy
) -> dict[str, Any]:
    """The members ``tools``, ``tool_choice`` and ``parallel_tool_calls`` of a Chat request.

    llama-server takes only a string for ``tool_choice``: one tool is chosen by sending it alone.

    Raises:
        InvalidRequest: an unknown choice, or a tool that is not there.
    """
    kind = choice.get("type", "auto")
    tools = offered.tools
    if kind not in ("auto", "any", "tool", "none"):
        raise InvalidRequest(
            "Input should be 'auto', 'any', 'tool' or 'none'", param="tool_choice.type"
        )
    if not tools:
        if kind in ("any", "tool"):
            raise InvalidRequest("There are no tools to choose from.", param="tool_choice")
        return {}
    out: dict[str, Any] = {"tools": tools}
    if kind == "tool":
        name = choice.get("name")
        chat_name = offered.names.chat_name(name) if isinstance(name, str) else None
        only = [tool for tool in tools if tool["function"]["name"] == chat_name]
        if not only:
            raise InvalidRequest(f"Tool '{name}' not found in provided tools", param="tool_choice")
        if policy.is_llama_cpp:
            out = {"tools": only, "tool_choice": "required"}
        else:
            out["tool_choice"] = {"type": "function", "function": {"name": chat_name}}
    elif "type" in choice:
        out["tool_choice"] = "required" if kind == "any" else kind
    if choice.get("disable_parallel_tool_use") is True and kind != "none":
        out["parallel_tool_calls"] = False
    return out


def _function(tool: dict[str, Any], kind: str, name: str, where: str) -> dict[str, Any]:
    if kind == "custom":
        schema = tool.get("input_schema")
        if schema is not None and not isinstance(schema, dict):
            raise wrong_type(f"{where}.input_schema", "an object")
        function: dict[str, Any] = {"name": name, "description": _description(tool, where)}
        if not function["description"]:
            del function["description"]
        function["parameters"] = schema or _EMPTY_SCHEMA
        if tool.get("strict") is True:
            function["strict"] = True
        return function
    if kind.startswith("bash_"):
        return _builtin(name, "Run a command in a persistent bash session.", _BASH)
    if kind.startswith("text_editor_"):
        undo = ("undo_edit",) if kind in _OLD_EDITORS else ()
        return _editor(name, undo)
    if kind.startswith("memory_"):
        return _memory(name)
    if kind.startswith(_UNTRAINED_TOOLS):
        raise Unsupported(f"{kind} is not supported by this server", param=where)
    raise InvalidRequest(f"Unknown tool type '{kind:.64}'", param=f"{where}.type")


def _builtin(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "parameters": parameters}


def _editor(name: str, undo: tuple[str, ...]) -> dict[str, Any]:
    commands = ["view", "create", "str_replace", "insert", *undo]
    parameters = {
        "type": "object",
        "properties": {"command": {"type": "string", "enum": commands}, **_EDIT_MEMBERS},
        "required": ["command", "path"],
    }
    return _builtin(name, "View, create and edit text files.", parameters)


def _memory(name: str) -> dict[str, Any]:
    commands = ["view", "create", "str_replace", "insert", "delete", "rename"]
    parameters = {
        "type": "object",
        "properties": {
            "command": {"type": "string", "enum": commands},
            **_EDIT_MEMBERS,
            **_strings("old_path", "new_path"),
        },
        "required": ["command"],
    }
    return _builtin(name, "Keep notes in files under /memories.", parameters)


def _description(tool: dict[str, Any], where: str) -> str:
    description = tool.get("description")
    if description is not None and not isinstance(description, str):
        raise wrong_type(f"{where}.description", "a string")
    examples = tool.get("input_examples")
    if examples and len(text := encoded(examples)) < _MAX_EXAMPLES:
        return f"{description or ''}\nExamples: {text.decode()}".lstrip()
    return description or ""


def _name(tool: dict[str, Any], where: str) -> str:
    name = tool.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidRequest(
            "String should match pattern '^[a-zA-Z0-9_.-]{1,128}$'", param=f"{where}.name"
        )
    return name


def _unavailable(index: int, kind: str) -> Unsupported:
    return Unsupported(
        f"server tool '{kind}' is not available on this server", param=f"tools[{index}]"
    )


def _blocks(content: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, list):
        yield from (block for block in content if isinstance(block, dict))


def _note(names: set[str], name: object) -> None:
    if isinstance(name, str):
        names.add(name)


def _named(tool: object) -> object:
    if isinstance(tool, Mapping):
        return tool.get("name") or tool.get("tool_name")
    return tool


def _note_addition(found: Mentions, tool: object) -> None:
    name = _named(tool)
    _note(found.wanted, name)
    if isinstance(tool, dict) and isinstance(tool.get("name"), str) and "input_schema" in tool:
        found.added.append({**tool, "defer_loading": False})
