"""Who may see the dashboard: a password or a link with a secret, then a cookie for 12 hours.

Secrets are compared as digests, sessions are kept as digests, and a client that guesses is kept
waiting. What a page shows of the program itself (its files, its probes) is for everyone.
"""

import base64
import hashlib
import hmac
import math
import secrets
from collections.abc import Callable

from multiproxy.errors import RateLimited
from multiproxy.supervisor.dashboard.messages import Request, Response

COOKIE = "mp_session"
SESSION_S = 12 * 3600.0
MAX_SESSIONS = 1000  # the oldest makes room
MAX_FAILURES = 5  # of one client address within FAILURES_S
FAILURES_S = 300.0
MAX_CLIENTS = 10_000  # addresses whose failures are remembered
PATH = "/login"
OPEN_PATHS = frozenset(("/healthz", "/readyz"))


class Login:
    """Sessions of one process. ``clock`` gives monotonic seconds.

    With a ``password``, the form asks for it. Without one there is a link, good for one use;
    ``on_link`` is called with the path and query of each new one, the first from ``__init__``.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        password: str | None = None,
        on_link: Callable[[str], None] | None = None,
    ) -> None:
        assert (password is None) != (on_link is None)
        self._clock = clock
        self._secret = b"" if password is None else _digest(password)
        self._on_link = on_link
        self._sessions: dict[bytes, float] = {}  # digest of a cookie -> when it ends
        self._failures: dict[str, list[float]] = {}  # client address -> when it failed
        self._renew_link()

    @property
    def has_password(self) -> bool:
        """Whether the form can help; else only the link does."""
        return self._on_link is None

    def knows(self, request: Request) -> bool:
        """Whether a request carries the cookie of a session that has not ended."""
        ends_at = self._sessions.get(_digest(request.cookies.get(COOKIE, "")))
        return ends_at is not None and ends_at > self._clock()

    def try_secret(self, given: str, client: str) -> Response | None:
        """Return the answer that opens a session, or None for a wrong secret.

        Raises:
            RateLimited: ``client`` guessed too often; right or wrong, it waits.
        """
        if not self._is_right(given, client):
            return None
        self._renew_link()
        return self._open_session(self._clock())

    def accepts(self, request: Request) -> bool:
        """Whether a request itself carries the password, as Prometheus and curl send it.

        Any user name does; ``Bearer PASSWORD`` as well.

        Raises:
            RateLimited: see ``try_secret``.
        """
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if not self.has_password or not value:
            return False
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except ValueError:
                return False
        elif scheme.lower() != "bearer":
            return False
        return self._is_right(value, request.client)

    def _is_right(self, given: str, client: str) -> bool:
        now = self._clock()
        failures = [at for at in self._failures.get(client, ()) if now - at < FAILURES_S]
        if len(failures) >= MAX_FAILURES:
            wait_s = math.ceil(failures[0] + FAILURES_S - now)
            raise RateLimited(
                f"Too many wrong tries; wait {math.ceil(wait_s / 60)} min.",
                retry_after_s=wait_s,
                headers=((b"retry-after", b"%d" % wait_s),),
            )
        if not given or not hmac.compare_digest(_digest(given), self._secret):
            self._failed(client, [*failures, now])
            return False
        self._failures.pop(client, None)
        return True

    def _open_session(self, now: float) -> Response:
        cookie = secrets.token_urlsafe(32)
        for known, ends_at in list(self._sessions.items()):
            if ends_at <= now:
                del self._sessions[known]
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_digest(cookie)] = now + SESSION_S
        fields = f"Path=/; Max-Age={SESSION_S:.0f}; HttpOnly; SameSite=Strict"
        headers = (("Location", "/"), ("Set-Cookie", f"{COOKIE}={cookie}; {fields}"))
        return Response(303, headers=headers)

    def _failed(self, client: str, failures: list[float]) -> None:
        if len(self._failures) >= MAX_CLIENTS and client not in self._failures:
            del self._failures[next(iter(self._failures))]
        self._failures[client] = failures

    def _renew_link(self) -> None:
        if self._on_link is not None:
            token = secrets.token_urlsafe(24)
            self._secret = _digest(token)
            self._on_link(f"{PATH}?token={token}")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
