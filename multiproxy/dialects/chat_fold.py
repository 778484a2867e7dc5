"""A Chat stream as the one answer that llama-server gives to a request without ``stream``.

Non-streamed requests are asked for as streams: only then does llama-server notice that the
client left, and only then is life seen before the end. The client gets the same members in
the same order, ``timings`` and logprobs included.

Source: llama.cpp tools/server/server-task.cpp (b11434), ``to_json_oaicompat_chat``.
"""

from collections import defaultdict
from collections.abc import Mapping
from io import StringIO
from typing import Any

import orjson

from multiproxy.dialects.chat_chunk import fragment_of
from multiproxy.dialects.chat_stream import ChatReader
from multiproxy.dialects.errors import render_openai
from multiproxy.dialects.events import Done, Event, Reasoning, Refusal, Text, ToolFragment
from multiproxy.dialects.tools import CallTable
from multiproxy.dialects.translator import EventTranslator
from multiproxy.errors import BackendDied, BackendProtocolError, ProxyError

_MAX_CHOICES = 128
# Members that are put together here, in llama-server's order; others are kept as they came.
_HEAD = ("created", "model", "system_fingerprint")
_OWN = frozenset((*_HEAD, "choices", "object", "usage", "id", "timings", "prompt_progress"))
_UNFOLDED = ("verbose", "logprobs", "top_logprobs", "n_probs")
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def can_fold(body: Mapping[str, Any]) -> bool:
    """Whether a stream can give the answer to this request without ``stream``.

    Not so for a continued assistant text, which llama-server repeats only without streaming
    (by build), for logprobs, of which a stream lacks those of the last token, and for
    ``verbose``.
    """
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    is_prefill = isinstance(last, Mapping) and last.get("role") == "assistant"
    return not (is_prefill or any(body.get(name) for name in _UNFOLDED))


def folded_request(body: Mapping[str, Any], *, is_llama_cpp: bool) -> dict[str, Any]:
    """The request for a stream that ``ChatFold`` can read."""
    options = body.get("stream_options")
    options = options if isinstance(options, dict) else {}
    folded = {**body, "stream": True, "stream_options": {**options, "include_usage": True}}
    if is_llama_cpp:
        folded["return_progress"] = True
    return folded


class _Choice:
    """What came of one choice so far."""

    def __init__(self) -> None:
        self.texts: dict[str, StringIO] = defaultdict(StringIO)
        self.calls = CallTable()
        self.logprobs: list[bytes] = []  # JSON of entries, smaller than the entries
        self.finish_reason: object = None
        self.size = 0  # characters kept

    def add(self, name: str, text: str) -> None:
        self.size += self.texts[name].write(text)

    def add_logprobs(self, logprobs: object) -> None:
        entries = logprobs.get("content") if isinstance(logprobs, dict) else None
        if entries and isinstance(entries, list):
            self.logprobs.append(orjson.dumps(entries)[1:-1])
            self.size += len(self.logprobs[-1])

    def message(self) -> dict[str, object]:
        message: dict[str, object] = {
            "role": "assistant",
            "content": self.texts["content"].getvalue(),
        }
        for name in _TEXTS[1:]:
            if name in self.texts:
                message[name] = self.texts[name].getvalue()
        if self.calls.calls:
            message["tool_calls"] = [
                {
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.take()},
                    **({"id": call.id} if call.id else {}),
                }
                for call in self.calls.calls
            ]
        return message


class ChatFold(EventTranslator):
    """Gives the answer's bytes when it is complete, and nothing before.

    So ``started`` stays False: another backend may take over at any time. At most
    ``max_answer_size`` characters are kept.
    """

    def __init__(
        self,
        request_id: str,
        *,
        max_event_size: int = 16 << 20,
        max_answer_size: int = 64 << 20,
    ) -> None:
        super().__init__(
            ChatReader(
                max_event_size=max_event_size,
                max_answer_size=max_answer_size,
                on_chunk=self._keep,
            )
        )
        self._request_id = request_id
        self._max_answer_size = max_answer_size
        self._first = _Choice()
        self._choices: dict[int, _Choice] = {0: self._first}
        self._reasoning_name = "reasoning_content"
        self._members: dict[str, object] = {}
        self._counts: dict[str, object] = {}  # usage and timings of the first choice
        self._last_finished = 0
        self._document: dict[str, Any] | None = None  # the backend did not stream

    def fail(self, error: ProxyError) -> bytes:
        return render_openai(error, self._request_id).body

    def keep_alive(self) -> bytes:
        return b""

    def _on(self, event: Event) -> None:  # per piece
        choice = self._first
        match event:
            case Text():
                choice.add("content", event.text)
            case Reasoning():
                choice.add(self._reasoning_name, event.text)
            case ToolFragment():
                choice.calls.add(event)
                choice.size += len(event.arguments)
            case Refusal():
                choice.add("refusal", event.text)
            case Done():
                self._finish()
        if choice.size > self._max_answer_size:
            self._overflow()

    def _continue(self, kind: type[Event] | None, text: str) -> bytes | None:  # per piece
        if kind is Text:
            texts = self._first.texts["content"]
        elif kind is Reasoning:
            texts = self._first.texts[self._reasoning_name]
        else:
            return None
        size = self._first.size = self._first.size + texts.write(text)
        if size > self._max_answer_size:
            self._overflow()
        return b""

    def _keep(self, chunk: dict[str, Any]) -> None:
        """Take from a chunk what the events do not tell."""
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                if "message" in choice and "delta" not in choice:
                    self._document = chunk
                    return
                self._keep_choice(choice)
        for key, value in chunk.items():
            if key not in _OWN:
                self._members[key] = value
            elif key in ("usage", "timings"):
                # With n > 1 each choice's usage follows its finish; the first one's counts.
                if value is not None and (not self._last_finished or key not in self._counts):
                    self._counts[key] = value
            elif key in _HEAD or key == "id":
                self._members.setdefault(key, value)

    def _keep_choice(self, source: dict[str, Any]) -> None:
        index = source.get("index") or 0
        if not isinstance(index, int):
            return
        choice = self._choice(index)
        if choice.finish_reason is not None:
            return
        # Reasoning has them as well, and so may an event without text.
        choice.add_logprobs(source.get("logprobs"))
        delta = source.get("delta")
        if isinstance(delta, dict):
            if index:
                self._keep_delta(choice, delta)
            elif "reasoning" in delta and "reasoning_content" not in delta:
                self._reasoning_name = "reasoning"
        if source.get("finish_reason") is not None:
            choice.finish_reason = source["finish_reason"]
            self._last_finished = index

    def _keep_delta(self, choice: _Choice, delta: dict[str, Any]) -> None:
        """More of a choice that the events do not tell: any but the first."""
        for name in _TEXTS:
            text = delta.get(name)
            if text and isinstance(text, str):
                choice.add(name, text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                choice.calls.add(fragment_of(call))
        if sum(each.size for each in self._choices.values()) > self._max_answer_size:
            self._overflow()

    def _overflow(self) -> None:
        self.failure = BackendProtocolError("The backend's answer has too many bytes.")
        self._choices.clear()

    def _choice(self, index: int) -> _Choice:
        if index not in self._choices and len(self._choices) >= _MAX_CHOICES:
            return _Choice()
        return self._choices.setdefault(index, _Choice())

    def _finish(self) -> None:
        if self._document is not None:
            answer = self._document
        elif all(choice.finish_reason is not None for choice in self._choices.values()):
            answer = self._answer()
        else:
            self.failure = BackendDied("The backend closed the stream before finishing.")
            return
        self._out.append(orjson.dumps(answer))
        self.finished = True

    def _answer(self) -> dict[str, object]:
        answer: dict[str, object] = {"choices": [*map(self._told, sorted(self._choices))]}
        members = self._members
        answer |= {key: members.pop(key) for key in _HEAD if key in members}
        answer["object"] = "chat.completion"
        if "usage" in self._counts:
            answer["usage"] = self._counts["usage"]
        elif self.usage is not None:  # from the timings
            answer["usage"] = {
                "completion_tokens": self.usage.output,
                "prompt_tokens": self.usage.prompt,
                "total_tokens": self.usage.prompt + self.usage.output,
                "prompt_tokens_details": {"cached_tokens": self.usage.cached},
            }
        if "id" in members:
            answer["id"] = members.pop("id")
        answer |= {key: value for key, value in members.items() if key not in _OWN}
        if "timings" in self._counts:
            answer["timings"] = self._counts["timings"]
        return answer

    def _told(self, index: int) -> dict[str, object]:
        choice = self._choices[index]
        told: dict[str, object] = {
            "finish_reason": choice.finish_reason,
            "index": index,
            "message": choice.message(),
        }
        if choice.logprobs:
            entries = orjson.Fragment(b"[" + b",".join(choice.logprobs) + b"]")
            told["logprobs"] = {"content": entries}
        return told
