"""The tool calls of a Responses answer, from their first fragment to their last event.

A call is unopened until its name is certain, then open, then closed. Several may be open
side by side: the protocol, other than Anthropic's, lets items interleave.
"""

from random import Random
from typing import Protocol

from multiproxy.dialects.events import ToolFragment
from multiproxy.dialects.ids import CallIds, hex_digits
from multiproxy.dialects.responses_object import Object
from multiproxy.dialects.responses_output import NOT_TOLD, CallItem, Status
from multiproxy.dialects.responses_request import ResponsesTurn
from multiproxy.dialects.responses_tools import CallKind
from multiproxy.dialects.tools import Call, CallTable


class CallWriter(Protocol):
    """What the answer does with its calls."""

    def number(self) -> int:
        """The output index of an item that begins."""

    def added(self, index: int, item: Object) -> None:
        """An item begins."""

    def call_delta(self, item: CallItem, text: str) -> None:
        """More of a call's arguments or input."""

    def call_done(self, item: CallItem, text: str) -> None:
        """A call's arguments or input are complete."""

    def close(self, index: int, item: Object) -> None:
        """An item is complete, or cut."""


class OpenCalls:
    """The calls of one attempt; tells the ``writer`` what the client is to be told."""

    def __init__(self, writer: CallWriter, turn: ResponsesTurn, random: Random) -> None:
        self._writer = writer
        self._turn = turn
        self._random = random
        self._ids = CallIds(random, turn.taken_ids)
        self._table = CallTable()
        self._seen = 0  # calls that were unopened once
        self._unopened: dict[int, Call] = {}  # by number
        self._open: dict[int, CallItem] = {}

    def read(self, fragment: ToolFragment) -> Call | None:
        """The call that ``fragment`` belongs to; None if the client did not want it."""
        call = self._table.add(fragment)
        if call.number and self._turn.one_call_only:
            call.take()
            return None
        return call

    def tell(self, call: Call) -> None:
        """Write what is new of ``call``."""
        item = self._open.get(call.number)
        if item is not None:
            self._tell_arguments(item)
            return
        if call.number == self._seen:
            self._seen += 1
            self.open_waiting()  # another call came: their names cannot grow any more
            self._unopened[call.number] = call
        # A closed call is in neither: nothing can follow a complete object.
        if call.number in self._unopened and call.name and call.has_arguments:
            self._begin(call)

    def open_waiting(self, *, only_with_arguments: bool = False) -> None:
        """Open the calls that only waited for their names to grow."""
        for call in list(self._unopened.values()):
            if call.name and (call.has_arguments or not only_with_arguments):
                self._begin(call)

    def close_complete(self) -> None:
        """Close the calls whose arguments are a whole object."""
        for item in [each for each in self._open.values() if each.call.is_complete]:
            self._end(item, cut=False)

    def end(self, status: Status, *, drops_empty: bool) -> bool:
        """Open and close whatever is left; True if a call was lost, having no name.

        ``drops_empty`` is for an answer that was cut before the arguments of its last call.
        """
        self.open_waiting(only_with_arguments=drops_empty)
        lost = bool(self._unopened) and not drops_empty
        self._unopened.clear()
        for item in list(self._open.values()):
            self._end(item, cut=status is Status.INCOMPLETE and not item.call.is_complete)
        return lost

    def _begin(self, call: Call) -> None:
        del self._unopened[call.number]
        self.close_complete()
        target = self._turn.tools.target(call.name)
        prefix = "ctc" if target.kind is CallKind.CUSTOM else "fc"
        item_id = f"{prefix}_{hex_digits(32, self._random)}"
        item = CallItem(item_id, call, self._ids.claim(call.id), target)
        self._open[call.number] = item
        if target.kind is not CallKind.BUILTIN:  # which is told when it is complete
            self._add(item)
        self._tell_arguments(item)

    def _add(self, item: CallItem) -> None:
        item.index = self._writer.number()
        self._writer.added(item.index, item.to_object(Status.IN_PROGRESS, ""))

    def _tell_arguments(self, item: CallItem) -> None:
        text = item.take()
        if text and item.index != NOT_TOLD:
            self._writer.call_delta(item, text)

    def _end(self, item: CallItem, *, cut: bool) -> None:
        del self._open[item.call.number]
        if item.index == NOT_TOLD:
            builtin = None if cut else item.to_builtin_object(Status.COMPLETED)
            if builtin is not None:
                item.index = self._writer.number()
                self._writer.added(item.index, {**builtin, "status": Status.IN_PROGRESS.value})
                self._writer.close(item.index, builtin)
                return
            self._add(item)
            if item.text:
                self._writer.call_delta(item, item.text)
        if cut:
            self._writer.close(item.index, item.to_object(Status.INCOMPLETE, item.text))
            return
        whole, rest = item.finish()
        if rest:
            self._writer.call_delta(item, rest)
        self._writer.call_done(item, whole)
        self._writer.close(item.index, item.to_object(Status.COMPLETED, whole))
