"""The tools of a Responses request: what the backend is told, and whose call comes back.

A Chat backend knows functions. Namespaces are flattened, custom and built-in tools wrapped;
``ToolMap.target`` says what a function that the model called was in the client's words.
Codex refuses calls that come back under the flat name, and needs its hosted tools to be
dropped instead of refused.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeGuard

from multiproxy.dialects.names import NameMap
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_builtin import BY_TOOL
from multiproxy.errors import InvalidRequest

Tool = dict[str, Any]

_TYPE = re.compile("[A-Za-z0-9_]{1,64}")
_FREEFORM_HINT = "Put the complete raw text of the tool input into `input`."
_EMPTY_SCHEMA: Tool = {"type": "object", "properties": {}}
_FREEFORM_SCHEMA: Tool = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}


class CallKind(Enum):
    """Which output item a call becomes."""

    FUNCTION = auto()
    CUSTOM = auto()
    BUILTIN = auto()


@dataclass(frozen=True, slots=True)
class CallTarget:
    """A tool in the client's words; ``namespace`` only where the client gave one."""

    kind: CallKind
    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    target: CallTarget
    function: Tool  # the ``function`` object of the Chat tool


class ToolMap:
    """The tools of one request.

    ``dropped`` names the tool types that no backend can run. The maps are in the order of
    the client's list, because the prompt begins with it.
    """

    def __init__(self, tools: Iterable[Tool], policy: Policy, *, wanted: frozenset[str]) -> None:
        """``wanted`` are the names that make a deferred tool known to the model."""
        self.dropped: list[str] = []
        self._names = NameMap()
        self._entries: dict[str, _Entry] = {}  # by Chat name
        self._wanted = None if policy.defer_loading == "ignore" else wanted
        for index, tool in enumerate(tools):
            self._add(tool, f"tools[{index}]")

    def chat_tools(self, only: Sequence[str] | None = None) -> list[Tool]:
        """The Chat tools, or those of them whose Chat name is in ``only``."""
        return [
            {"type": "function", "function": entry.function}
            for name, entry in self._entries.items()
            if only is None or name in only
        ]

    def chat_name(self, name: str, namespace: object = None) -> str:
        """What the backend calls the tool of a call in the history, offered now or not."""
        return self._names.chat_name(name, namespace if _is_name(namespace) else None)

    def names_of(self, name: str, kind: CallKind | None = None) -> list[str]:
        """The Chat names of the offered tools that the client calls ``name``."""
        return [
            chat_name
            for chat_name, entry in self._entries.items()
            if entry.target.name == name and kind in (None, entry.target.kind)
        ]

    def target(self, chat_name: str) -> CallTarget:
        """What the model meant by ``chat_name``; a name that nobody offered is kept."""
        original = self._names.original(chat_name)
        entry = self._entries.get(self._names.chat_name(*original))
        return entry.target if entry else CallTarget(CallKind.FUNCTION, chat_name)

    def _add(self, tool: object, where: str) -> None:
        if not isinstance(tool, dict):
            raise InvalidRequest("Expected an object.", param=where, code="invalid_type")
        kind = tool.get("type") or "function"
        if not isinstance(kind, str):
            raise InvalidRequest("Expected a string.", param=f"{where}.type", code="invalid_type")
        if kind == "function":
            self._add_function(tool, where, None)
        elif kind == "custom":
            self._add_custom(tool, where, None)
        elif kind == "namespace":
            self._add_namespace(tool, where)
        elif kind in BY_TOOL and tool.get("execution", "client") != "server":
            self._add_builtin(tool)
        else:
            # It is told in a header field: nothing else of the client's words may get there.
            self.dropped.append(f"tools.{kind}" if _TYPE.fullmatch(kind) else "tools")

    def _add_namespace(self, tool: Tool, where: str) -> None:
        namespace = _name(tool, where)
        members = tool.get("tools")
        if not isinstance(members, list):
            raise InvalidRequest("Expected a list.", param=f"{where}.tools", code="invalid_type")
        for index, member in enumerate(members):
            path = f"{where}.tools[{index}]"
            if not isinstance(member, dict):
                raise InvalidRequest("Expected an object.", param=path, code="invalid_type")
            if member.get("type") == "custom":
                self._add_custom(member, path, namespace)
            else:
                self._add_function(member, path, namespace)

    def _add_function(self, tool: Tool, where: str, namespace: str | None) -> None:
        # The form of Chat, which clients mix in.
        nested = tool.get("function")
        tool = {**tool, **nested} if isinstance(nested, dict) else tool
        name = _name(tool, where)
        if tool.get("defer_loading") and not self._is_wanted(name, namespace):
            return
        parameters = tool.get("parameters")
        if parameters is not None and not isinstance(parameters, dict):
            raise InvalidRequest(
                "Expected an object.", param=f"{where}.parameters", code="invalid_type"
            )
        function: Tool = {"name": name, "parameters": parameters or _EMPTY_SCHEMA}
        if tool.get("strict") is True:
            function["strict"] = True
        target = CallTarget(CallKind.FUNCTION, name, namespace)
        self._offer(target, function, tool.get("description"), where)

    def _add_custom(self, tool: Tool, where: str, namespace: str | None) -> None:
        name = _name(tool, where)
        if tool.get("defer_loading") and not self._is_wanted(name, namespace):
            return
        description = tool.get("description")
        description = f"{description}\n\n" if isinstance(description, str) else ""
        description += _FREEFORM_HINT + _grammar_hint(tool.get("format"))
        target = CallTarget(CallKind.CUSTOM, name, namespace)
        self._offer(target, {"name": name, "parameters": _FREEFORM_SCHEMA}, description, where)

    def _add_builtin(self, tool: Tool) -> None:
        builtin = BY_TOOL[tool["type"]]
        parameters = tool.get("parameters")
        function = {
            "name": builtin.name,
            "parameters": parameters if isinstance(parameters, dict) else dict(builtin.parameters),
        }
        description = tool.get("description") or builtin.description
        target = CallTarget(CallKind.BUILTIN, builtin.name)
        self._offer(target, function, description, builtin.name)

    def _offer(self, target: CallTarget, function: Tool, description: object, where: str) -> None:
        chat_name = self._names.add(target.name, target.namespace)
        if chat_name in self._entries:
            raise InvalidRequest(f"Duplicate tool name '{target.name}'.", param=f"{where}.name")
        function["name"] = chat_name
        if isinstance(description, str) and description:
            function["description"] = description
        self._entries[chat_name] = _Entry(target, function)

    def _is_wanted(self, name: str, namespace: str | None) -> bool:
        if self._wanted is None:
            return True
        return name in self._wanted or (namespace is not None and namespace in self._wanted)


def chat_tool_choice(
    choice: object, tools: ToolMap, policy: Policy
) -> tuple[object, list[str] | None]:
    """Chat's ``tool_choice`` and the Chat names to keep; (None, None) leaves both alone.

    llama.cpp knows no "this tool": it is given only that tool, and told that one is required.

    Raises:
        InvalidRequest: a hosted tool, an unknown form, or a tool that is not offered.
    """
    if choice is None or choice == "auto":
        return None, None
    if choice in ("none", "required"):
        return choice, None
    if not isinstance(choice, Mapping):
        raise InvalidRequest("Unknown tool_choice.", param="tool_choice")
    kind = str(choice.get("type"))
    if kind in ("function", "custom"):
        nested = choice.get("function")  # the form of Chat
        name = choice.get("name") or (nested.get("name") if isinstance(nested, Mapping) else None)
        only = _offered(name, tools)
    elif kind in BY_TOOL:
        only = _offered(kind, tools)
    elif kind == "allowed_tools":
        return _allowed_tools(choice, tools)
    else:
        raise InvalidRequest("This tool is not available on this server.", param="tool_choice")
    if policy.is_llama_cpp or len(only) > 1:
        return "required", only
    return {"type": "function", "function": {"name": only[0]}}, None


def _allowed_tools(choice: Mapping[str, Any], tools: ToolMap) -> tuple[object, list[str]]:
    allowed = choice.get("tools")
    if not isinstance(allowed, list):
        raise InvalidRequest("Expected a list.", param="tool_choice.tools", code="invalid_type")
    only: list[str] = []
    for tool in allowed:
        name = tool.get("name") or tool.get("type") if isinstance(tool, Mapping) else None
        if isinstance(name, str):  # hosted tools are dropped here as in the list of tools
            only += tools.names_of(name)
    return ("required" if choice.get("mode") == "required" else None), only


def _offered(name: object, tools: ToolMap) -> list[str]:
    names = tools.names_of(name) if isinstance(name, str) else []
    if not names:
        raise InvalidRequest(
            f"Tool {name!r:.130} not found in provided tools.", param="tool_choice"
        )
    return names


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != ""


def _name(tool: Tool, where: str) -> str:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequest(
            f"Missing required parameter: '{where}.name'.",
            param=f"{where}.name",
            code="missing_required_parameter",
        )
    return name


def _grammar_hint(text_format: object) -> str:
    if not isinstance(text_format, dict) or text_format.get("type") != "grammar":
        return ""
    grammar = text_format.get("grammar")
    grammar = grammar if isinstance(grammar, dict) else text_format
    syntax, definition = grammar.get("syntax", ""), grammar.get("definition")
    if not isinstance(definition, str):
        return ""
    return f"\nThe text must match this {syntax} grammar:\n{definition}"
