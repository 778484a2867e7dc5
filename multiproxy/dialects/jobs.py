"""One generation request, whatever dialect it is in: what a backend is sent, and who reads it.

A job is made from the client's parsed body and lives as long as the request. For every
attempt it gives the bytes for that backend and a translator for the answer; after some
refusals it can change what is sent and have it tried again (``amend``).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from multiproxy.dialects import messages_request, responses_request
from multiproxy.dialects.arguments import sanitised_history
from multiproxy.dialects.chat_fold import ChatFold, can_fold, folded_request
from multiproxy.dialects.continuation import Spoken, can_continue, continued_request
from multiproxy.dialects.media_address import check_media
from multiproxy.dialects.messages_emit import MessagesEmitter
from multiproxy.dialects.messages_fold import MessagesFold
from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.request import Request, encoded
from multiproxy.dialects.responses_emit import ResponsesEmitter
from multiproxy.dialects.responses_fold import ResponsesFold
from multiproxy.dialects.responses_request import ResponsesTurn
from multiproxy.dialects.schema import RefusedTools, sanitised_tools
from multiproxy.dialects.translator import Translator
from multiproxy.errors import GrammarRejected, OutputTooLong, PrefillRejected, ProxyError

CHAT_PATH = b"/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Context:
    """What every job of a process shares. Sizes are bytes; ``clock`` gives Unix seconds.

    ``takes_remote`` is whether a relayed request may name media that a backend has to fetch.
    """

    random: Random
    clock: Callable[[], float]
    max_event_size: int
    max_answer_size: int
    refused_tools: RefusedTools
    takes_remote: bool = True


class Job(ABC):
    """See the module. ``path`` is what a backend is asked; ``stream`` what the client wants.

    ``translates`` tells that the answer is read by a translator whatever its content type;
    ``folds`` that it gives one body at the end instead of a stream. ``dropped`` names fields
    whose absence changes what the request means.
    """

    path: bytes = CHAT_PATH
    translates = True
    dropped: tuple[str, ...] = ()

    def __init__(self, request: Request, request_id: str, context: Context) -> None:
        self.model = request.model
        self.stream = request.stream
        self.request = request
        self.request_id = request_id
        self._context = context

    def at(self, policy: Policy, previous: Translator | None) -> "Job":
        """The job for one backend; see ``native_job.ByBackend``."""
        return self

    @property
    def folds(self) -> bool:
        """Whether the client gets one body although the backend is asked for a stream."""
        return not self.stream

    @abstractmethod
    def encode(self, policy: Policy, model: str | None) -> bytes:
        """Return the body for a backend; ``model`` is the name that it is sent.

        Raises:
            ClientError: the request cannot be told to any backend.
        """

    @abstractmethod
    def translator(self, previous: Translator | None) -> Translator:
        """Return a new reader for one attempt's answer, after ``encode``."""

    def continues(self, policy: Policy) -> bool:
        """Whether an answer of this backend that breaks off in its text may be continued."""
        return False

    def encode_rest(self, policy: Policy, model: str | None, spoken: Spoken) -> bytes | None:
        """Return the body that lets a backend go on behind ``spoken``; None: nobody can."""
        return None

    def amend(self, error: ProxyError) -> bool:
        """Change what is sent so that ``error`` may not come again; False: tell it."""
        return False


class Relayed(Job):
    """The client speaks the backend's own dialect: its bytes go out as they came.

    ``needs_role`` and ``native`` are ``Passthrough``'s. Streamed Chat also asks a llama.cpp
    backend for its progress, which is used and taken out again.

    Raises:
        InvalidRequest, Unsupported: it names media that no backend may fetch.
    """

    def __init__(
        self,
        request: Request,
        request_id: str,
        context: Context,
        path: bytes,
        *,
        chat: bool = False,
        native: bool = False,
    ) -> None:
        super().__init__(request, request_id, context)
        check_media(request.data.get("messages"), "messages", takes_remote=context.takes_remote)
        self.path = path
        self.translates = False
        self._chat = chat
        self._native = native
        self._strips_progress = False

    @property
    def folds(self) -> bool:
        return False

    def encode(self, policy: Policy, model: str | None) -> bytes:
        body = self.request.body_for(model)
        data = self.request.data
        asks = self._chat and self.stream and policy.is_llama_cpp and bool(data)
        self._strips_progress = asks and "return_progress" not in data
        if self._strips_progress:
            # The body is an object with members; the view spares a large one a second copy.
            members = memoryview(body)[: body.rindex(b"}")]
            body = b"".join((members, b',"return_progress":true}'))
        return body

    def continues(self, policy: Policy) -> bool:
        return (
            self._chat and self.stream and policy.is_llama_cpp and can_continue(self.request.data)
        )

    def encode_rest(self, policy: Policy, model: str | None, spoken: Spoken) -> bytes | None:
        data = self.request.data
        rest = continued_request(data if model is None else {**data, "model": model}, spoken)
        return encoded(rest) if rest and self.continues(policy) else None

    def translator(self, previous: Translator | None) -> Translator:
        return Passthrough(
            self.request_id,
            needs_role=self._chat,
            native=self._native,
            strips_progress=self._strips_progress,
            max_event_size=self._context.max_event_size,
        )


class Translated(Job):
    """The backend is asked for a Chat stream. Subclasses map the request (``_map``)."""

    def __init__(self, request: Request, request_id: str, context: Context) -> None:
        super().__init__(request, request_id, context)
        self._mapped_for: tuple[Policy, str | None] | None = None
        self._chat: dict[str, Any] = {}
        self._ready: bytes | None = None  # a body that was written and not sent yet
        self._simplifies = False  # tools whose schemas a backend refuses
        self._amendments: dict[type[ProxyError], Callable[[dict[str, Any]], dict[str, Any]]] = {}

    @abstractmethod
    def _map(self, policy: Policy, model: str | None) -> Mapping[str, Any]:
        """Return the Chat request and keep what the answer needs."""

    def chat(self, policy: Policy, model: str | None) -> dict[str, Any]:
        """Return the Chat request for a backend, mapped once per policy and name."""
        if self._mapped_for != (policy, model):
            self._chat = dict(self._map(policy, model))
            self._ready = None
            self._simplifies = policy.schema_sanitize == "on_error"
            if policy.schema_sanitize == "always" and self._chat.get("tools"):
                self._chat["tools"] = sanitised_tools(self._chat["tools"])
            self._mapped_for = (policy, model)
        return self._chat

    def encode(self, policy: Policy, model: str | None) -> bytes:
        """See ``Job``; what is written to see whether it can be told is sent by the next call."""
        chat = self._amended(policy, model)
        body, self._ready = self._ready, None
        if body is None:
            body = self._ready = self._written(chat)
        return body

    def continues(self, policy: Policy) -> bool:
        return self.stream and policy.is_llama_cpp and can_continue(self._chat)

    def encode_rest(self, policy: Policy, model: str | None, spoken: Spoken) -> bytes | None:
        rest = continued_request(self._amended(policy, model), spoken)
        return self._written(rest) if rest and self.continues(policy) else None

    def _amended(self, policy: Policy, model: str | None) -> dict[str, Any]:
        """The Chat request, changed after refusals."""
        chat = self.chat(policy, model)
        for amendment in self._amendments.values():
            chat = amendment(chat)
        return chat

    def _written(self, chat: dict[str, Any]) -> bytes:
        body = encoded(chat)
        tools = chat.get("tools")
        if tools and tools in self._context.refused_tools:
            body = encoded({**chat, "tools": sanitised_tools(tools)})
        return body

    def amend(self, error: ProxyError) -> bool:
        if type(error) in self._amendments:
            return False  # it did not help
        self._ready = None
        match error:
            case GrammarRejected() if self._chat.get("tools") and self._simplifies:
                self._context.refused_tools.add(self._chat["tools"])
                self._amendments[GrammarRejected] = lambda chat: chat
            case PrefillRejected():
                self._amendments[PrefillRejected] = messages_request.without_thinking
            case OutputTooLong(fitting_max_tokens=int(limit)):
                self._amendments[OutputTooLong] = lambda chat: _shortened(chat, limit)
            case _:
                return False
        return True


class FoldedChat(Translated):
    """Chat without ``stream``: asked for as a stream, so that it can be cancelled and watched.

    Raises:
        InvalidRequest, Unsupported: it names media that no backend may fetch.
    """

    def __init__(self, request: Request, request_id: str, context: Context) -> None:
        super().__init__(request, request_id, context)
        check_media(request.data.get("messages"), "messages", takes_remote=context.takes_remote)

    def _map(self, policy: Policy, model: str | None) -> Mapping[str, Any]:
        data = self.request.data
        named = data if model is None or model == self.model else {**data, "model": model}
        return folded_request(named, is_llama_cpp=policy.is_llama_cpp)

    def translator(self, previous: Translator | None) -> Translator:
        return ChatFold(
            self.request_id,
            max_event_size=self._context.max_event_size,
            max_answer_size=self._context.max_answer_size,
        )


class Messages(Translated):
    """Anthropic's Messages; ``version`` and ``betas`` are its two header fields."""

    def __init__(
        self, request: Request, request_id: str, context: Context, *, version: str, betas: str
    ) -> None:
        super().__init__(request, request_id, context)
        self._version = version
        self._betas = betas
        self._turn = MessagesTurn("")

    def _map(self, policy: Policy, model: str | None) -> Mapping[str, Any]:
        self._turn = messages_request.translate(
            self.request.data,
            policy,
            backend_model=model,
            version=self._version,
            betas=self._betas,
        )
        self.dropped = self._turn.dropped
        return self._turn.body

    def translator(self, previous: Translator | None) -> Translator:
        kind = MessagesEmitter if self.stream else MessagesFold
        return kind(
            self._turn,
            request_id=self.request_id,
            random=self._context.random,
            resume_from=previous if isinstance(previous, kind) else None,
            max_event_size=self._context.max_event_size,
            max_answer_size=self._context.max_answer_size,
        )


class Responses(Translated):
    """OpenAI's Responses.

    ``history`` and ``stored_items`` are what the store has of the request's ``references``;
    ``can_store`` is False where there is no store.
    """

    def __init__(
        self,
        request: Request,
        request_id: str,
        context: Context,
        *,
        history: Sequence[dict[str, Any]] = (),
        stored_items: Mapping[str, dict[str, Any]] | None = None,
        can_store: bool = False,
    ) -> None:
        super().__init__(request, request_id, context)
        self._history = history
        self._stored_items = stored_items
        self._can_store = can_store
        self.turn: ResponsesTurn | None = None

    def _map(self, policy: Policy, model: str | None) -> Mapping[str, Any]:
        self.turn = responses_request.translate(
            self.request.data,
            policy,
            backend_model=model,
            history=self._history,
            stored_items=self._stored_items,
            can_store=self._can_store,
        )
        encoded({"response": self.turn.echoed})  # refused now, not when the answer is there
        self.dropped = self.turn.dropped
        return self.turn.body

    def translator(self, previous: Translator | None) -> Translator:
        assert self.turn is not None
        options: dict[str, Any] = {
            "request_id": self.request_id,
            "random": self._context.random,
            "clock": self._context.clock,
            "max_event_size": self._context.max_event_size,
            "max_answer_size": self._context.max_answer_size,
        }
        if self.stream:
            emitted = previous if isinstance(previous, ResponsesEmitter) else None
            return ResponsesEmitter(self.turn, resume_from=emitted, **options)
        folded = previous if isinstance(previous, ResponsesFold) else None
        return ResponsesFold(self.turn, resume_from=folded, **options)


def _shortened(chat: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
    """The request with another limit; a Chat client's own may have the newer name."""
    kept = {key: value for key, value in chat.items() if key != "max_completion_tokens"}
    return {**kept, "max_tokens": max_tokens}


def chat_job(request: Request, request_id: str, context: Context, *, fold: bool) -> Job:
    """Return the job of a Chat request; ``fold`` is False where bytes are to be relayed.

    A call in the history whose arguments are no JSON object is mended: a llama-server would
    answer 500 to it, and to every later request of the conversation.
    """
    messages = sanitised_history(request.data.get("messages"))
    if messages is not None:
        request.data["messages"] = messages
        request.raw = b""
    if fold and not request.stream and can_fold(request.data):
        return FoldedChat(request, request_id, context)
    return Relayed(request, request_id, context, CHAT_PATH, chat=True)
