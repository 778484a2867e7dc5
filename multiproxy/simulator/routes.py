"""Method and path to answer; the order of checks is llama-server's."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from . import embeddings, messages, prompt, props, responses, wire
from .answer import Form, StreamAnswer, WholeAnswer
from .chat import ChatForm
from .chat_body import ChatBody
from .completions import CompletionForm, NativeForm
from .faults import Tamper
from .order import Order, completion, parse
from .plan import random_id
from .scripted import ScriptedAnswer
from .wire import Refusal, Request

if TYPE_CHECKING:
    from .connection import Connection
    from .server import Server

Handler = Callable[["Connection", Request], None]
_PREFLIGHT = (
    b"HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nAccess-Control-Allow-Origin: %b\r\n"
    b"Access-Control-Allow-Credentials: true\r\n"
    b"Access-Control-Allow-Methods: GET, POST, DELETE, OPTIONS\r\n"
    b"Access-Control-Allow-Headers: *\r\nContent-Type: text/html\r\n%b"
    b"Content-Length: 0\r\n\r\n"
)
# A member of another type than expected: llama-server's JSON library raises there, and it says 500.
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, OverflowError)
_NO_KEY_NEEDED = ("/health", "/v1/health")


class Routes:
    """Answers complete requests of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._settings = server.settings
        self._chance = Random()  # ids differ from run to run, as the real ones do
        self._table = self._draw()

    def _draw(self) -> dict[tuple[str, str], Handler]:
        table: dict[tuple[str, str], Handler] = {}
        for methods, paths, handler in (
            ("GET", "/health /v1/health", self._health),
            ("GET", "/props", self._props),
            ("GET", "/models /v1/models", self._models),
            ("GET", "/slots", self._slots),
            ("GET", "/metrics", self._metrics),
            ("GET", "/lora-adapters", lambda c, r: c.reply(200, b"[]")),
            ("POST", "/props", lambda c, r: c.reply(200, b'{"success":true}')),
            ("POST", "/tokenize", self._tokenize),
            ("POST", "/detokenize", self._detokenize),
            ("POST", "/apply-template", self._apply_template),
            ("POST", "/v1/chat/completions /chat/completions", self._chat),
            ("POST", "/v1/chat/completions/input_tokens", self._input_tokens),
            ("POST", "/chat/completions/input_tokens", self._input_tokens),
            ("POST", "/v1/messages", self._messages),
            ("POST", "/v1/messages/count_tokens", self._count_tokens),
            ("POST", "/v1/responses", self._responses),
            ("POST", "/v1/responses/input_tokens", self._responses_input_tokens),
            ("POST", "/v1/completions", self._completions),
            ("POST", "/completion /completions", self._native),
            ("POST", "/infill", self._infill),
            ("POST", "/v1/embeddings", self._body_only(embeddings.openai_embeddings)),
            ("POST", "/embeddings /embedding", self._body_only(embeddings.native_embeddings)),
            ("POST", "/v1/rerank /rerank /v1/reranking /reranking", self._rerank),
        ):
            for path in paths.split():
                table[methods, path] = handler
        return table

    # -- checks ------------------------------------------------------------------------

    def is_known(self, request: Request) -> bool:
        """Whether there is a route."""
        return self._handler(request) is not None

    def _handler(self, request: Request) -> Handler | None:
        method = "GET" if request.method == "HEAD" else request.method
        return self._table.get((method, request.path))

    def refuses(self, request: Request) -> tuple[int, bytes] | None:
        """Return the answer of a server that is loading, or was given no good key."""
        if self._server.clock.now() < self._server.ready_at:
            return 503, wire.LOADING
        keys = self._settings.api_keys
        if not keys or request.path in _NO_KEY_NEEDED:
            return None
        given = request.headers.get(b"authorization", b"")
        key = given.removeprefix(b"Bearer ") if given else request.headers.get(b"x-api-key", b"")
        return None if key.decode("latin-1") in keys else (401, wire.BAD_KEY)

    def serve(self, connection: Connection, request: Request) -> None:
        """Answer ``request`` now or when its generation says so."""
        facts = self._server.facts
        facts.requests[f"{request.method} {request.path}"] += 1
        if self._settings.keep_bodies:
            facts.bodies.append(request.body)
        if self._settings.control and request.path.startswith("/simulator/"):
            self._control(connection, request)
            return
        if request.method == "OPTIONS":
            connection.send(_PREFLIGHT % (request.origin, connection.persistence()))
            connection.done()
            return
        refusal = self.refuses(request)
        if refusal:
            connection.reply(*refusal)
            return
        try:
            self._serve_known(connection, request)
        except Refusal as problem:
            connection.reply(problem.status, problem.body)
        except UNREADABLE as problem:
            message = f"[json.exception.type_error.302] {problem}"
            connection.reply(500, Refusal(500, message).body)

    def _serve_known(self, connection: Connection, request: Request) -> None:
        for fault in self._settings.faults:
            if fault.kind not in ("refuse", "silence") and fault.hits(request):
                self._server.facts.faults[fault.kind] += 1
                if Tamper(fault, connection).strike():
                    return
                connection.linger_s = fault.seconds if fault.kind == "late-release" else 0.0
                break
        handler = self._handler(request)
        if handler is None:
            connection.reply(404, wire.NOT_FOUND)
        else:
            handler(connection, request)

    # -- information -------------------------------------------------------------------

    def _health(self, connection: Connection, request: Request) -> None:
        connection.reply(200, b'{"status":"ok"}')

    def _props(self, connection: Connection, request: Request) -> None:
        connection.reply(200, props.props(self._settings, self._server.engine))

    def _models(self, connection: Connection, request: Request) -> None:
        connection.reply(200, props.models(self._settings, self._server.clock.wall))

    def _slots(self, connection: Connection, request: Request) -> None:
        connection.reply(200, props.slots(self._settings, self._server.engine, request.query))

    def _metrics(self, connection: Connection, request: Request) -> None:
        body = props.metrics(self._settings, self._server.engine)
        extra = b"Process-Start-Time-Unix: %d\r\n" % int(self._server.started_at * 1e6)
        connection.reply(200, body, wire.METRICS, extra)

    def _tokenize(self, connection: Connection, request: Request) -> None:
        body = parse(request.body)
        self._server.engine.touch()
        ids: list[Any] = prompt.tokenize(str(body.get("content", "")))
        if body.get("with_pieces"):
            ids = [{"id": each, "piece": _shown(prompt.piece(each))} for each in ids]
        connection.reply(200, orjson.dumps({"tokens": ids}))

    def _detokenize(self, connection: Connection, request: Request) -> None:
        ids = parse(request.body).get("tokens") or []
        connection.reply(200, orjson.dumps({"content": prompt.detokenize(ids)}))

    def _apply_template(self, connection: Connection, request: Request) -> None:
        chat = ChatBody(parse(request.body), self._settings)
        connection.reply(200, orjson.dumps({"prompt": chat.prompt}))

    def _input_tokens(self, connection: Connection, request: Request) -> None:
        tokens = ChatBody(parse(request.body), self._settings).prompt_tokens
        body = {"input_tokens": tokens, "object": "response.input_tokens"}
        connection.reply(200, orjson.dumps(body))

    def _count_tokens(self, connection: Connection, request: Request) -> None:
        chat = ChatBody(messages.chat_body(parse(request.body)), self._settings)
        connection.reply(200, orjson.dumps({"input_tokens": chat.prompt_tokens}))

    def _responses_input_tokens(self, connection: Connection, request: Request) -> None:
        tokens = ChatBody(responses.chat_body(parse(request.body)), self._settings).prompt_tokens
        body = {"input_tokens": tokens, "object": "response.input_tokens"}
        connection.reply(200, orjson.dumps(body))

    # -- generation --------------------------------------------------------------------

    def _answer(self, connection: Connection, form: Form, orders: list[Order]) -> None:
        kind = StreamAnswer if orders[0].stream else WholeAnswer
        answer = kind(connection, self._server.engine, form)
        connection.answer = answer
        answer.run(orders, connection.linger_s)

    def _chat(self, connection: Connection, request: Request) -> None:
        body = parse(request.body)
        self._speak(connection, body, ChatForm(body, self._settings.model, props.BUILD, self._id()))

    def _messages(self, connection: Connection, request: Request) -> None:
        body = messages.chat_body(parse(request.body))
        self._speak(connection, body, messages.MessagesForm(self._settings.model, self._id()))

    def _responses(self, connection: Connection, request: Request) -> None:
        body = responses.chat_body(parse(request.body))
        form = responses.ResponsesForm(self._settings.model, random_id(self._chance))
        self._speak(connection, body, form)

    def _speak(self, connection: Connection, body: dict[str, Any], form: Form) -> None:
        """Answer a chat request, whatever dialect it came in, unless it has a magic word."""
        chat = ChatBody(body, self._settings)
        magic, _, name = chat.last_user_text.partition(" ")
        if magic == "@die":
            self._server.die()
        elif magic == "@script" and name in self._settings.scripts:
            script = ScriptedAnswer(connection, self._settings.scripts[name])
            connection.answer = script
            script.run()
        else:
            self._answer(connection, form, [chat.order(index) for index in range(chat.choices)])

    def _completions(self, connection: Connection, request: Request) -> None:
        body = parse(request.body)
        form = CompletionForm(body, self._settings.model, props.BUILD, self._id())
        self._answer(connection, form, self._text_orders(body))

    def _native(self, connection: Connection, request: Request) -> None:
        body = parse(request.body)
        self._answer(connection, NativeForm(self._settings.model), self._text_orders(body))

    def _infill(self, connection: Connection, request: Request) -> None:
        if not self._settings.infill:
            raise Refusal(
                501,
                "Infill is not supported by this model: prefix token is missing. suffix token is"
                " missing. middle token is missing. ",
            )
        body = parse(request.body)
        text = f"{body.get('input_prefix', '')}{body.get('prompt', '')}"
        body["prompt"] = f"{text}{body.get('input_suffix', '')}"
        self._answer(connection, NativeForm(self._settings.model), self._text_orders(body))

    def _text_orders(self, body: dict[str, Any]) -> list[Order]:
        given = body.get("prompt")
        if given is None:
            raise Refusal(400, '"prompt" must be a string or an array')
        several = isinstance(given, list) and not all(isinstance(item, int) for item in given)
        prompts = given if several else [given]
        texts = [p if isinstance(p, str) else prompt.detokenize(p) for p in prompts]
        return [completion(body, text, index, self._settings) for index, text in enumerate(texts)]

    def _body_only(self, make: Callable[[dict[str, Any], Any], bytes]) -> Handler:
        def handle(connection: Connection, request: Request) -> None:
            body = parse(request.body)
            self._server.engine.touch()
            connection.reply(200, make(body, self._settings))

        return handle

    def _rerank(self, connection: Connection, request: Request) -> None:
        self._body_only(embeddings.rerank)(connection, request)

    def _id(self) -> str:
        return "chatcmpl-" + random_id(self._chance)

    # -- control -----------------------------------------------------------------------

    def _control(self, connection: Connection, request: Request) -> None:
        if (request.method, request.path) == ("POST", "/simulator/fault"):
            try:
                self._server.set_faults(orjson.loads(request.body or b"{}").get("faults", []))
            except (ValueError, AttributeError, TypeError) as error:
                connection.reply(400, orjson.dumps({"error": str(error)}))
                return
        connection.reply(200, orjson.dumps(self._server.facts_shown()))


def _shown(piece: bytes) -> str | list[int]:
    """A token's text, or its bytes when they are no whole characters."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)
