"""What an operator may change from here: cancel, drain, resume, reload.

Each is one POST with this process's token, answered for whoever asked: a form without script is
sent back to its page, htmx gets nothing to swap (the live stream shows the outcome), and a
program that accepts JSON is told.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from multiproxy.errors import NotFound
from multiproxy.supervisor.dashboard.messages import Request, Response

# Ours only: one slash, then no character that another reader takes for the end of a path.
_PLACE = re.compile(r"/(?:[A-Za-z0-9._~%-]+(?:/[A-Za-z0-9._~%-]+)?)?(?:\?[A-Za-z0-9._~%=&+-]*)?")

CheckedForm = Callable[[Request], Mapping[str, str]]
Handler = Callable[[Request], Awaitable[Response]]


class Actions(Protocol):
    """The running system as far as it can be told to do something."""

    def cancel(self, request_id: str) -> bool:
        """End a running request; False: it does not run."""
        ...

    def drain(self, backend: str) -> bool:
        """Give a backend no new requests; False: there is none of that name."""
        ...

    def resume(self, backend: str) -> bool:
        """Give it requests again."""
        ...

    async def reload(self) -> str:
        """Read the configuration again; what was wrong with it, "" when it is in use."""
        ...


def place(text: str) -> str:
    """``text`` if it is an address of ours to go back to, else the first page."""
    return text if _PLACE.fullmatch(text) else "/"


def action_routes(actions: Actions, checked_form: CheckedForm) -> dict[str, Handler]:
    """The handlers by path; ``checked_form`` raises for a form without our token."""

    async def cancel(request: Request) -> Response:
        form = checked_form(request)
        found = actions.cancel(form.get("id", ""))
        return _answer(request, form, found, "That request does not run any more.")

    async def drain(request: Request) -> Response:
        form = checked_form(request)
        found = actions.drain(form.get("id", ""))
        return _answer(request, form, found, "There is no backend of that name.")

    async def resume(request: Request) -> Response:
        form = checked_form(request)
        found = actions.resume(form.get("id", ""))
        return _answer(request, form, found, "There is no backend of that name.")

    async def reload(request: Request) -> Response:
        form = checked_form(request)
        problem = await actions.reload()
        return _answer(request, form, True, "", problem)

    return {
        "/actions/cancel": cancel,
        "/actions/drain": drain,
        "/actions/resume": resume,
        "/actions/reload": reload,
    }


def _answer(
    request: Request, form: Mapping[str, str], found: bool, missing: str, problem: str = ""
) -> Response:
    """``missing`` says what was not found; ``problem`` that it was tried and did not work."""
    if wants_json(request):
        if not found:
            raise NotFound(missing)
        body = {"ok": not problem, "error": problem or None}
        return Response(409 if problem else 200, json.dumps(body).encode(), "application/json")
    if request.headers.get("hx-request") == "true":
        return Response(204)
    return Response(303, headers=(("Location", place(form.get("back", "/"))),))


def wants_json(request: Request) -> bool:
    """Whether whoever asked is a program that reads JSON, not a person's browser."""
    return "application/json" in request.headers.get("accept", "")
