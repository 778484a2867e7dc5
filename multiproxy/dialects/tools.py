"""Which tool call a fragment belongs to, and what is known of each call.

Backends number, name and identify calls in many ways: one index for all, no index, names
that grow, ids with every fragment. The emitters see calls only as this table tells them.
"""

from multiproxy.dialects.arguments import ObjectScanner
from multiproxy.dialects.events import ToolFragment


class Call:
    """One tool call of the answer, growing.

    ``number`` counts the calls from 0. Arguments are kept until ``take`` hands them over;
    text behind the end of the JSON object is dropped.
    """

    __slots__ = ("id", "name", "number", "has_arguments", "_scanner", "_waiting")

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = ""
        self.name = ""
        self.has_arguments = False
        self._scanner = ObjectScanner()
        self._waiting: list[str] = []

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are a closed JSON object."""
        return self._scanner.is_complete

    @property
    def is_waiting(self) -> bool:
        """Whether arguments came that nobody took."""
        return bool(self._waiting)

    def take(self) -> str:
        """The arguments that came since the last call of this."""
        waiting, self._waiting = self._waiting, []
        return "".join(waiting)

    def extend(self, fragment: ToolFragment) -> None:
        if fragment.id and not self.id:
            self.id = fragment.id
        if fragment.name and fragment.name != self.name:
            # llama-server may repeat a name that it has read further (`get`, `get_weather`).
            grown = fragment.name.startswith(self.name)
            self.name = fragment.name if grown else self.name + fragment.name
        if fragment.arguments:
            length = self._scanner.feed(fragment.arguments)
            if length:
                self._waiting.append(fragment.arguments[:length])
                self.has_arguments = True


class CallTable:
    """Gives every fragment to its call; ``calls`` holds them in order of appearance."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._next_index = 0

    def add(self, fragment: ToolFragment) -> Call:
        """The call that ``fragment`` extended; a new one has the highest ``number``."""
        call = self._find(fragment)
        call.extend(fragment)
        return call

    def _find(self, fragment: ToolFragment) -> Call:
        index = fragment.index
        if index is None:
            # Without an index, a new id begins a call; anything else goes to the last one.
            last = self.calls[-1] if self.calls else None
            if last is not None and (not fragment.id or fragment.id == last.id):
                return last
            index = self._next_index
        call = self._by_index.get(index)
        if call is None or _is_another(call, fragment):
            call = Call(len(self.calls))
            self.calls.append(call)
            self._by_index[index] = call
            self._next_index = max(self._next_index, index + 1)
        return call


def _is_another(call: Call, fragment: ToolFragment) -> bool:
    """Whether the index was used again for the next call (sglang#39782)."""
    return bool(fragment.id and fragment.name and fragment.id != call.id and call.has_arguments)
