"""The output items of a Responses answer while they grow.

An item is numbered (``index``, the protocol's ``output_index``) when the client is told of
it, and keeps its text: the protocol repeats the whole text at the end of every item.
"""

from enum import Enum
from io import StringIO
from typing import Any

from multiproxy.dialects.arguments import parse_arguments
from multiproxy.dialects.freeform import FreeformInput, unwrapped
from multiproxy.dialects.responses_builtin import BY_TOOL
from multiproxy.dialects.responses_object import (
    Object,
    message_item,
    output_text,
    reasoning_item,
    refusal,
)
from multiproxy.dialects.responses_tools import CallKind, CallTarget
from multiproxy.dialects.sealed_text import seal
from multiproxy.dialects.tools import Call

NOT_TOLD = -1
"""The index of an item that the client does not know of yet."""

_FUNCTION = ("function_call", "arguments")


class Status(Enum):
    """What an item says of itself; ``INCOMPLETE`` when the answer was cut in it."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"


class PartKind(Enum):
    """What a part of an item holds."""

    TEXT = "output_text"
    REFUSAL = "refusal"
    REASONING = "reasoning_text"
    SUMMARY = "summary_text"


class Part:
    """One text of an item; ``index`` is its place in the item's ``content`` or ``summary``."""

    __slots__ = ("kind", "index", "logprobs", "write", "_text")

    def __init__(self, kind: PartKind, index: int) -> None:
        self.kind = kind
        self.index = index
        self.logprobs: list[Any] = []
        # A list of the fragments would take many times their size: they are mostly short.
        self._text = StringIO()
        self.write = self._text.write

    @property
    def text(self) -> str:
        return self._text.getvalue()

    def to_object(self) -> Object:
        match self.kind:
            case PartKind.TEXT:
                return output_text(self.text, self.logprobs)
            case PartKind.REFUSAL:
                return refusal(self.text)
            case _:
                return {"type": self.kind.value, "text": self.text}


class MessageItem:
    """What the model says to the user: texts and refusals."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self.parts: list[Part] = []

    def to_object(self, status: Status) -> Object:
        return message_item(self.id, status.value, [part.to_object() for part in self.parts])


class ReasoningItem:
    """The model's thoughts, as a summary or as they are; ``seals`` puts a copy for replay."""

    def __init__(self, item_id: str, index: int, kind: PartKind, *, seals: bool) -> None:
        self.id = item_id
        self.index = index
        self.part = Part(kind, 0)
        self._seals = seals

    def to_object(self, status: Status) -> Object:
        text = self.part.text
        sealed = seal(text) if self._seals and text else None
        if self.part.kind is PartKind.SUMMARY:
            return reasoning_item(self.id, status.value, summary=text, sealed=sealed)
        return reasoning_item(self.id, status.value, content=text, sealed=sealed)


class CallItem:
    """A call of one of the client's tools, as the item that the tool's kind asks for."""

    def __init__(self, item_id: str, call: Call, call_id: str, target: CallTarget) -> None:
        self.id = item_id
        self.index = NOT_TOLD
        self.call = call
        self.call_id = call_id
        self.target = target
        self._arguments = StringIO()
        self._freeform = FreeformInput() if target.kind is CallKind.CUSTOM else None

    @property
    def is_custom(self) -> bool:
        return self._freeform is not None

    @property
    def text(self) -> str:
        """The function's arguments, or what of a custom tool's input has been told."""
        return self._freeform.decoded if self._freeform else self._arguments.getvalue()

    def take(self) -> str:
        """What new text the client may see, of the arguments that came since the last call."""
        fragment = self.call.take()
        if fragment:
            self._arguments.write(fragment)
        return self._freeform.feed(fragment) if self._freeform else fragment

    def finish(self) -> tuple[str, str]:
        """The whole text, and what of it ``take`` has not given yet.

        A function call without arguments gets ``{}``: clients parse them. A custom input whose
        arguments were not of the form we ask for is only told as a whole.
        """
        arguments = self._arguments.getvalue()
        if self._freeform is None:
            return (arguments, "") if arguments else ("{}", "{}")
        whole, given = unwrapped(arguments), self._freeform.decoded
        return whole, whole[len(given) :] if whole.startswith(given) else ""

    def to_object(self, status: Status, text: str) -> Object:
        members: Object = {"call_id": self.call_id, "name": self.target.name}
        if self.target.namespace is not None:
            members["namespace"] = self.target.namespace
        kind, key = ("custom_tool_call", "input") if self.is_custom else _FUNCTION
        return {"type": kind, "id": self.id, **members, key: text, "status": status.value}

    def to_builtin_object(self, status: Status) -> Object | None:
        """The item of a built-in tool; None if this is none or its arguments are unusable."""
        if self.target.kind is not CallKind.BUILTIN or not self.call.is_complete:
            return None
        builtin = BY_TOOL[self.target.name]
        members = builtin.call_members(parse_arguments(self._arguments.getvalue()))
        if members is None:
            return None
        return {
            "type": builtin.item_type,
            "id": self.id,
            "call_id": self.call_id,
            **members,
            "status": status.value,
        }
