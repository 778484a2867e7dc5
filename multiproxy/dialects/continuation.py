"""What a backend had said when it died, and the request that lets another one go on with it.

llama-server continues an assistant message that ends the conversation
(``continue_final_message``): a text behind closed thinking, or thinking that is still open;
with tools that were offered but not called, and inside JSON that a schema wants. What it
cannot continue, nobody here tries to: a tool call, several choices, a free grammar (which
would begin anew), logprobs.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from multiproxy.dialects.chat_stream import ChatReader
from multiproxy.dialects.events import Failure, Progress, Reasoning, Text
from multiproxy.dialects.sse import EventSplitter

MAX_SIZE = 1 << 20  # bytes of a journal; a longer answer is not continued
MAX_RUN = 128  # pieces that are kept as they came
_MERGE_SIZE = 64 << 10  # bytes that came since the journal was last looked through
_DELTAS = (b'"delta":{"content":"', b'"delta":{"reasoning_content":"')
_STRING = re.compile(rb'(?:[^"\\\n]|\\.)*')  # what may stand between a JSON string's quotes
_BACKSLASH = 0x5C
_NEVER = ("logprobs", "top_logprobs", "n_probs", "grammar", "echo", "continue_final_message")
_LIMITS = ("max_tokens", "max_completion_tokens", "n_predict")
_IDENTITY = ("id", "created", "model", "system_fingerprint")


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the client has of an answer that broke off.

    ``tokens`` are counted by events, which hold about one each; ``prompt`` is what the
    backend told of the prompt. ``identity`` are the members that every chunk had.
    """

    content: str
    reasoning: str
    tokens: int
    prompt: Progress | None = None
    identity: Mapping[str, object] = field(default_factory=dict)


class Journal:
    """What one Chat stream said, as a stream of fewer and larger events.

    Deltas of a stream differ in nothing but their text, so one event that holds the texts of
    many says the same. Nothing is parsed before somebody asks what was ``spoken``.
    """

    def __init__(self, max_size: int = MAX_SIZE) -> None:
        self._max_size = max_size
        self._is_full = False
        self._parts: list[bytes] = []  # the stream, but for the last texts
        self._size = 0  # bytes of the parts
        self._merge_at = _MERGE_SIZE
        self._learn(b"")

    def add(self, piece: bytes) -> None:  # per piece
        """Keep a piece of the backend's body, cut anywhere."""
        if piece.startswith(self._head) and piece.endswith(self._tail):
            self._run.append(piece)
            if len(self._run) >= MAX_RUN:
                self._settle()
        else:
            self._settle()
            self._learn(piece)
            self._keep(piece)

    def run_of(self, head: bytes, tail: bytes) -> list[bytes] | None:
        """Where to put the next pieces, if only a text will differ between these.

        That spares ``add`` for as long as they do not differ in more, at most MAX_RUN times.
        """
        return self._run if (head, tail) == (self._head, self._tail) else None

    def _learn(self, piece: bytes) -> None:
        """Take what stands around the text from the last event of ``piece``."""
        self._run: list[bytes] = []
        before = piece.rfind(b"\n\n", 0, -2)
        self._head, self._tail = _form(piece[before + 2 :] if before >= 0 else piece)

    def _settle(self) -> None:
        """Make one event of the run's."""
        run, self._run = self._run, []
        if not run:
            return
        start, end = len(self._head), -len(self._tail)
        texts = b"".join([piece[start:end] for piece in run])
        if texts.find(b"\n") >= 0:  # some pieces were several events
            texts = texts.replace(self._tail + self._head, b"")
        if texts.find(b'"') >= 0 and not _STRING.fullmatch(texts):
            self._forget()
        else:
            self._keep(self._head + texts + self._tail)

    def _keep(self, part: bytes) -> None:
        if self._is_full:
            return
        self._parts.append(part)
        self._size += len(part)
        if self._size > min(self._merge_at, self._max_size):
            self._merge()
            if self._size > self._max_size - _MERGE_SIZE:  # nor would more of it be
                self._forget()

    def _merge(self) -> None:
        """Cut the parts between events: pieces need not be, and then nothing was gained."""
        *events, rest = b"".join(self._parts).split(b"\n\n")
        merged = Journal(sys.maxsize)
        merged._merge_at = sys.maxsize
        for event in events:
            merged.add(event + b"\n\n")
        merged._settle()
        self._parts = [*merged._parts, rest]
        self._size = merged._size + len(rest)
        self._is_full = merged._is_full
        self._merge_at = self._size + max(_MERGE_SIZE, self._size)

    def _forget(self) -> None:
        self._is_full = True
        self._parts.clear()
        self._size = 0

    def spoken(self, events: int, prompt: Progress | None) -> Spoken | None:
        """What the answer said so far; None when it cannot be continued, or is not known.

        ``events`` of content were read, and what the backend told of the ``prompt``.
        """
        self._settle()
        if self._is_full:
            return None
        stream = b"".join(self._parts)
        texts: list[str] = []
        thoughts: list[str] = []
        for event in ChatReader().feed(stream):
            if isinstance(event, Text):
                texts.append(event.text)
            elif isinstance(event, Reasoning):
                if texts:
                    return None  # a message says them in the other order
                thoughts.append(event.text)
            elif isinstance(event, Failure):
                break
            elif not isinstance(event, Progress):
                return None  # a tool call, a refusal, or the end
        if not texts and not thoughts:
            return None
        identity = _identity(stream)
        if not identity:
            return None
        tokens = events + bool(texts and thoughts)  # one more ended the thinking
        return Spoken("".join(texts), "".join(thoughts), tokens, prompt, identity)


def _form(event: bytes) -> tuple[bytes, bytes]:
    """What stands before the text of a plain delta, and what behind it; else what fits nothing."""
    for delta in _DELTAS:
        start = event.find(delta) + len(delta)
        if start >= len(delta) and event.startswith(b"data: {"):
            end = event.find(b'"', start)
            if event[end - 1] != _BACKSLASH and event.startswith(b'"}', end):
                return event[:start], event[end:]
    return b"\0", b"\0"


def _identity(stream: bytes) -> dict[str, object]:
    for event in EventSplitter().feed(stream):
        try:
            chunk = orjson.loads(event)
        except ValueError:
            continue
        if isinstance(chunk, dict) and chunk.get("id"):
            return {name: chunk[name] for name in _IDENTITY if name in chunk}
    return {}


def can_continue(chat: Mapping[str, Any]) -> bool:
    """Whether the answer to this Chat request may be continued, should it break off in a text.

    Not so where the client itself asks for a continuation: some builds repeat that text.
    """
    messages = chat.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return (
        isinstance(last, Mapping)
        and last.get("role") != "assistant"
        and chat.get("n") in (None, 1)
        and chat.get("add_generation_prompt", True) is True
        and chat.get("reasoning_format") != "none"
        and not any(chat.get(name) for name in _NEVER)
        and not (chat.get("verbose") and not chat.get("response_fields"))  # repeats the text
    )


def continued_request(chat: Mapping[str, Any], spoken: Spoken) -> dict[str, Any] | None:
    """The Chat request that goes on behind ``spoken``; None when there is nothing left to say.

    Source: llama.cpp tools/server (b11434); all builds since b8929 continue a last assistant
    message, later ones do not repeat it when asked in so many words. A thinking budget stays as
    it is: they count the thinking that is continued.
    """
    message: dict[str, Any] = {"role": "assistant", "content": spoken.content}
    if spoken.reasoning:
        message["reasoning_content"] = spoken.reasoning
    request: dict[str, Any] = {
        **chat,
        "messages": [*chat["messages"], message],
        "stream": True,
        "return_progress": True,
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    for name in _LIMITS:
        limit = chat.get(name)
        if isinstance(limit, int) and limit >= 0:
            if limit <= spoken.tokens:
                return None
            request[name] = limit - spoken.tokens
    return request
