"""The exact route table: method and path -> page, fragment, stream, file or action."""

import hmac
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from multiproxy.errors import MethodNotAllowed, NotAllowed, NotFound, ProxyError
from multiproxy.supervisor.dashboard import requests_export, usage_export
from multiproxy.supervisor.dashboard.actions import Actions, action_routes, place, wants_json
from multiproxy.supervisor.dashboard.api import TWINS, json_response
from multiproxy.supervisor.dashboard.contract import Provider
from multiproxy.supervisor.dashboard.feed import Feed, FeedFull, Look, query_of
from multiproxy.supervisor.dashboard.formats import known_zone
from multiproxy.supervisor.dashboard.login import OPEN_PATHS, Login
from multiproxy.supervisor.dashboard.login import PATH as LOGIN_PATH
from multiproxy.supervisor.dashboard.messages import EventStream, Request, Response
from multiproxy.supervisor.dashboard.pages import BY_NAME, PAGES, Fragment, Page, Renderer
from multiproxy.supervisor.dashboard.playground import Playground, asked_of
from multiproxy.supervisor.dashboard.static import StaticFiles
from multiproxy.supervisor.prometheus import OPEN_METRICS, TEXT

log = logging.getLogger("multiproxy.dashboard")

THEMES = ("", "light", "dark")  # "" follows the system
THEME_COOKIE = "mp_theme"
ZONE_COOKIE = "mp_tz"
TOKEN_HEADER = "x-multiproxy-token"
YEAR_S = 365 * 86400

Handler = Callable[[Request], Awaitable[Response | EventStream]]


class Routes:
    """Call it with a request: an answer always comes, never an exception.

    ``token`` must come back with every POST, as the field ``token``: a page of another origin
    cannot read it.
    """

    def __init__(
        self,
        provider: Provider,
        renderer: Renderer,
        feed: Feed,
        static: StaticFiles,
        token: str,
        login: Login | None = None,
        actions: Actions | None = None,
    ) -> None:
        self._provider = provider
        self._renderer = renderer
        self._feed = feed
        self._token = token
        self._login = login
        self._identity = feed.identity
        self._get: dict[str, Handler] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/api/session": self._session,
        }
        for kind in ("csv", "json"):
            self._get[f"/usage.{kind}"] = partial(self._export_usage, kind)
            self._get[f"/requests.{kind}"] = partial(self._export_requests, kind)
        self._post: dict[str, Handler] = {"/theme": self._switch_theme}
        self._playground = Playground(lambda: provider.health().api_url)
        self._post |= {"/try": self._try, "/try/stream": self._try_stream}
        if actions is not None:
            self._post |= action_routes(actions, self._checked_form)
        self._by_id: dict[str, Handler] = {}  # path up to the id
        for page in PAGES:
            before_id, has_id, _ = page.path.partition("{id}")
            answers = self._by_id if has_id else self._get
            answers[before_id] = partial(self._page, page)
            if page.name in TWINS:
                answers[f"/api{before_id if has_id else f'/{page.name}'}"] = partial(
                    self._twin, page
                )
            self._get[f"/live/{page.name}"] = partial(self._live, page)
            for fragment in page.fragments:
                self._get[f"/fragments/{fragment.name}"] = partial(self._fragment, fragment)
        self._static = static.routes

    async def __call__(self, request: Request) -> Response | EventStream:
        try:
            if self._login is not None:
                return await self._admit(request, self._login)
            return await self._find(request)(request)
        except ProxyError as refusal:
            return self._error_page(request, refusal)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return Response.text(500, "The dashboard failed to draw this; its log says why.")

    async def _admit(self, request: Request, login: Login) -> Response | EventStream:
        """Answer whoever is signed in; everyone else may sign in."""
        if request.path == LOGIN_PATH:
            return self._sign_in(request, login)
        is_open = request.path in OPEN_PATHS or request.path in self._static
        if is_open or login.knows(request) or login.accepts(request):
            return await self._find(request)(request)
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return Response(303, headers=(("Location", LOGIN_PATH),))
        return Response.text(401, "Sign in first.")

    def _sign_in(self, request: Request, login: Login) -> Response:
        """No token is asked: the page that has none to give away may be seen by everyone."""
        given = request.query.get("token", "")
        if login.has_password:
            given = request.form.get("password", "") if request.method == "POST" else ""
        if given and (opened := login.try_secret(given, request.client)):
            return opened
        problem = "" if not given else "That was wrong." if login.has_password else "Used or old."
        html = self._renderer.login(login.has_password, problem, _theme(request))
        return Response(403 if problem else 200, html.encode())

    def _find(self, request: Request) -> Handler:
        if file := self._static.get(request.path):
            reads: Handler | None = partial(_answer, file)
        else:
            reads = self._get.get(request.path) or self._find_by_id(request.path)
        writes = self._post.get(request.path)
        handler = writes if request.method == "POST" else reads
        if handler is not None:
            return handler
        if reads is None and writes is None:
            raise NotFound("There is nothing at this address.")
        allow = b"GET, HEAD" if reads else b"POST"
        raise MethodNotAllowed("This address is not for that.", headers=((b"allow", allow),))

    def _find_by_id(self, path: str) -> Handler | None:
        """An id is all that follows: names of models have slashes."""
        for before_id, handler in self._by_id.items():
            if path.startswith(before_id) and path != before_id:
                return partial(_with_id, handler, path.removeprefix(before_id))
        return None

    # -- pages -------------------------------------------------------------------------------

    async def _page(self, page: Page, request: Request) -> Response:
        look = _look(page, request)
        moment = await self._renderer.prepared(look)
        if not moment.has(look):
            raise NotFound("It is not kept any more, or never was.")
        return Response(body=moment.page(look, _theme(request)).encode())

    async def _twin(self, page: Page, request: Request) -> Response:
        look = _look(page, request)
        moment = await self._renderer.prepared(look)
        if not moment.has(look):
            raise NotFound("It is not kept any more, or never was.")
        return json_response(TWINS[page.name](moment.snapshot, look))

    async def _session(self, request: Request) -> Response:
        """What a program needs to act: a page of another origin cannot read it either."""
        return json_response({"token": self._token, **self._identity})

    async def _fragment(self, fragment: Fragment, request: Request) -> Response:
        """Shared fragments are told by ``page`` which page they are part of."""
        pages = [page for page in PAGES if fragment in page.fragments]
        page = next((p for p in pages if p.name == request.query.get("page")), pages[0])
        look = _look(page, request)
        moment = await self._renderer.prepared(look)
        html = moment.fragment(fragment, look)
        return Response(body=html.encode())

    async def _export_requests(self, kind: str, request: Request) -> EventStream:
        snapshot = self._renderer.moment().snapshot
        look = _look(BY_NAME["requests"], request)
        return requests_export.stream(self._provider, snapshot, look, kind)

    async def _export_usage(self, kind: str, request: Request) -> Response:
        snapshot = self._renderer.moment().snapshot
        return usage_export.response(snapshot, _look(BY_NAME["usage"], request), kind)

    async def _live(self, page: Page, request: Request) -> Response | EventStream:
        look = _look(page, request)
        await self._renderer.prepared(look)
        try:
            return EventStream(self._feed.join(look))
        except FeedFull:
            return Response.text(503, "All live streams are taken; the page still reloads.")

    def _error_page(self, request: Request, refusal: ProxyError) -> Response:
        fields = tuple((name.decode(), value.decode()) for name, value in refusal.headers)
        if wants_json(request) or request.path.startswith("/api/"):
            body = json.dumps({"error": refusal.message}).encode()
            return Response(refusal.status, body, "application/json", headers=fields)
        titles = {
            403: "Not allowed",
            404: "Page not found",
            405: "Method not allowed",
            429: "Too many tries",
        }
        title = titles.get(refusal.status, "Request refused")
        html = self._renderer.error(refusal.status, title, refusal.message, _theme(request))
        return Response(refusal.status, html.encode(), headers=fields)

    # -- probes ------------------------------------------------------------------------------

    async def _healthz(self, request: Request) -> Response:
        return Response.text(200, "ok")

    async def _metrics(self, request: Request) -> Response:
        openmetrics = "application/openmetrics-text" in request.headers.get("accept", "")
        text = self._provider.metrics(len(self._feed), openmetrics)
        return Response(200, text.encode(), OPEN_METRICS if openmetrics else TEXT)

    async def _readyz(self, request: Request) -> Response:
        ready = self._provider.health().ready
        return Response.text(200, "ready") if ready else Response.text(503, "not ready")

    # -- playground --------------------------------------------------------------------------

    async def _try(self, request: Request) -> Response:
        """Without script: the page with the whole answer in it."""
        form = self._checked_form(request)
        pieces, outcome = await self._playground.whole(form)
        page = next(page for page in PAGES if page.path == "/try")
        extra = {
            "asked": asked_of(form),
            "thinking": "".join(piece.text for piece in pieces if piece.kind == "thinking"),
            "answer": "".join(piece.text for piece in pieces if piece.kind == "text"),
            "outcome": outcome,
        }
        moment = self._renderer.moment()
        return Response(body=moment.page(_look(page, request), _theme(request), extra).encode())

    async def _try_stream(self, request: Request) -> EventStream:
        return self._playground.stream(self._checked_form(request))

    # -- actions -----------------------------------------------------------------------------

    async def _switch_theme(self, request: Request) -> Response:
        """For browsers without JavaScript; app.js sets the same cookie itself."""
        form = self._checked_form(request)
        theme = form.get("theme", "")
        age = YEAR_S if theme in THEMES[1:] else 0
        cookie = f"{THEME_COOKIE}={theme if age else ''}; Path=/; Max-Age={age}; SameSite=Lax"
        location = place(form.get("back", "/"))
        return Response(303, headers=(("Location", location), ("Set-Cookie", cookie)))

    def _checked_form(self, request: Request) -> dict[str, str]:
        """Raises: NotAllowed: the form does not carry this process's token.

        A program may send it in a header: no page of another origin can, without our leave.
        """
        form = request.form
        token = form.get("token", "") or request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise NotAllowed("The form is from before a restart. Go back, reload, try again.")
        return form


async def _with_id(handler: Handler, id: str, request: Request) -> Response | EventStream:
    return await handler(replace(request, query={**request.query, "id": id}))


async def _answer(response: Response, request: Request) -> Response:
    return response


def _look(page: Page, request: Request) -> Look:
    zone = known_zone(request.cookies.get(ZONE_COOKIE, ""))
    return Look(page.name, query_of(request.query, page.query), zone)


def _theme(request: Request) -> str:
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


def new_token() -> str:
    return secrets.token_urlsafe(24)
