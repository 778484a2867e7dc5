"""A whole Responses answer as one object, for a client that does not stream."""

import orjson

from multiproxy.dialects.errors import render_responses
from multiproxy.dialects.responses_answer import ResponsesAnswer
from multiproxy.dialects.responses_object import Object
from multiproxy.dialects.responses_output import CallItem, MessageItem, Part, ReasoningItem
from multiproxy.errors import ProxyError


class ResponsesFold(ResponsesAnswer):
    """Gives the response object's bytes when the answer is complete, and nothing before."""

    def fail(self, error: ProxyError) -> bytes:
        return render_responses(error, self._request_id).body

    def keep_alive(self) -> bytes:
        return b""

    # Nothing is told before the end: until then another backend may take over.

    def added(self, index: int, item: Object) -> None: ...

    def item_done(self, index: int, item: Object) -> None: ...

    def part_added(self, item: MessageItem | ReasoningItem, part: Part) -> None: ...

    def part_done(self, item: MessageItem | ReasoningItem, part: Part) -> None: ...

    def delta(self, text: str, logprobs: list[object] | None) -> bytes:  # per piece
        return b""

    def call_delta(self, item: CallItem, text: str) -> None: ...

    def call_done(self, item: CallItem, text: str) -> None: ...

    def _finish(self, response: Object) -> None:
        self._out.append(orjson.dumps(response))
