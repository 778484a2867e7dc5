"""The built-in tools of the Responses API that a client runs itself, as functions for a model.

Each has item types of its own, for the call and for its output; this table says how their
members become a function's arguments and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Object = dict[str, Any]

_STRING = {"type": "string"}
_INTEGER = {"type": "integer"}
_STRINGS = {"type": "array", "items": _STRING}


@dataclass(frozen=True, slots=True)
class Builtin:
    """One built-in tool. ``member`` is where a call item keeps its arguments.

    ``renamed`` maps a function parameter to its name in the item, where the two differ.
    ``always`` are members that every item has, ``constant`` ones that are no parameter.
    ``required`` are the members without which a client could not run the call, with their
    type: a call that lacks them is told as a plain function call, which clients refuse.
    """

    name: str
    item_type: str
    member: str
    description: str
    parameters: Mapping[str, Any]
    required: Mapping[str, type]
    constant: Mapping[str, Any] = field(default_factory=dict)
    always: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    def call_members(self, arguments: Object) -> Object | None:
        """The members of a call item for these arguments; None if they are not usable."""
        if "operation" in arguments and self.member == "operation":
            arguments = arguments["operation"]
            if not isinstance(arguments, dict):
                return None
        for key, kind in self.required.items():
            if not isinstance(arguments.get(key), kind):
                return None
        members = {self.renamed.get(key, key): value for key, value in arguments.items()}
        if self.item_type == "tool_search_call":
            return {"arguments": members, "execution": "client"}
        return {self.member: {**self.constant, **self.always, **members}}

    def arguments(self, item: Object) -> Object:
        """The arguments that the model once gave for the call ``item``."""
        members = item.get(self.member)
        if not isinstance(members, dict):
            return {}
        if self.member == "operation":
            return {"operation": members}
        original = {there: here for here, there in self.renamed.items()}
        return {
            original.get(key) or key: value
            for key, value in members.items()
            if key not in self.constant and value not in (None, self.always.get(key))
        }


_ALL = (
    Builtin(
        name="local_shell",
        item_type="local_shell_call",
        member="action",
        description="Runs a shell command and returns its output.",
        parameters={
            "type": "object",
            "properties": {
                "command": _STRINGS,
                "workdir": _STRING,
                "timeout_ms": _INTEGER,
                "env": {"type": "object", "additionalProperties": _STRING},
            },
            "required": ["command"],
        },
        required={"command": list},
        constant={"type": "exec"},
        always={"env": {}},
        renamed={"workdir": "working_directory"},
    ),
    Builtin(
        name="shell",
        item_type="shell_call",
        member="action",
        description="Runs shell commands and returns their output.",
        parameters={
            "type": "object",
            "properties": {
                "commands": _STRINGS,
                "timeout_ms": _INTEGER,
                "max_output_length": _INTEGER,
            },
            "required": ["commands"],
        },
        required={"commands": list},
    ),
    Builtin(
        name="apply_patch",
        item_type="apply_patch_call",
        member="operation",
        description="Creates, updates or deletes a file; `diff` is in the V4A format.",
        parameters={
            "type": "object",
            "properties": {
                "operation": {
                    "type": "object",
                    "properties": {
                        "type": {
                            "type": "string",
                            "enum": ["create_file", "update_file", "delete_file"],
                        },
                        "path": _STRING,
                        "diff": _STRING,
                    },
                    "required": ["type", "path"],
                }
            },
            "required": ["operation"],
        },
        required={"type": str, "path": str},
    ),
    Builtin(
        name="tool_search",
        item_type="tool_search_call",
        member="arguments",
        description="Finds further tools.",
        parameters={"type": "object", "properties": {"query": _STRING}, "required": ["query"]},
        required={},
    ),
)

BY_TOOL: Mapping[str, Builtin] = MappingProxyType({each.name: each for each in _ALL})
BY_ITEM: Mapping[str, Builtin] = MappingProxyType({each.item_type: each for each in _ALL})


def shell_output_text(output: object) -> object:
    """``shell_call_output.output`` as text; anything but a list is returned as it is."""
    if not isinstance(output, list):
        return output
    texts = []
    for chunk in output:
        if not isinstance(chunk, dict):
            continue
        texts += [chunk[key] for key in ("stdout", "stderr") if isinstance(chunk.get(key), str)]
        outcome = chunk.get("outcome")
        if isinstance(outcome, dict):
            code = outcome.get("exit_code")
            texts.append("[timeout]" if code is None else f"[exit code {code}]")
    return "\n".join(text for text in texts if text)
