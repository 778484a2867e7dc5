"""A running MultiProxy as the commands see it: found by its dashboard's address, asked in JSON."""

import argparse
import http.client
import json
import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from multiproxy.cli import exit_codes
from multiproxy.cli.find_config import find
from multiproxy.config import Address, Config, ConfigError, load
from multiproxy.config.units import Malformed, address
from multiproxy.supervisor.screen import reachable

TIMEOUT_S = 10.0
RELOAD_S = 45.0  # new workers have 30 s to serve
PASSWORD_VARIABLE = "MULTIPROXY_DASHBOARD_PASSWORD"
_DEFAULT = Address("127.0.0.1", 8080)


class Unavailable(Exception):
    """There is nobody to talk to; ``code`` is the exit status that says so."""

    def __init__(self, message: str, code: int = exit_codes.NOT_RUNNING) -> None:
        super().__init__(message)
        self.code = code


class Refused(Exception):
    """It answered, and said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Instance:
    """``url`` is the dashboard's, or the link to sign in that it has written to its log.

    One connection per question: they are few.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unavailable(f"{url!r} is no address such as http://127.0.0.1:8080", 2)
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._password = password
        self._link_token = parse_qs(parts.query).get("token", [""])[0]
        self._cookie = ""
        self._token = ""

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The JSON at ``/api/PATH``.

        Raises:
            Unavailable: nothing answers, or something that is no MultiProxy.
            Refused: it has no such thing.
        """
        given = {name: value for name, value in (query or {}).items() if value}
        target = f"/api/{path}" + (f"?{urlencode(given)}" if given else "")
        return self._ask("GET", target)

    def act(self, name: str, timeout_s: float = TIMEOUT_S, **form: str) -> Any:
        """Do something; raises as ``get`` does."""
        if not self._token:
            self._token = self.get("session")["token"]
        body = urlencode(form | {"token": self._token})
        return self._ask("POST", f"/actions/{name}", body, timeout_s)

    def _ask(self, method: str, target: str, body: str = "", timeout_s: float = TIMEOUT_S) -> Any:
        status, data = self._exchange(method, target, body, timeout_s)
        if status == 401 and self._sign_in():
            status, data = self._exchange(method, target, body, timeout_s)
        if status == 401:
            raise Unavailable(self._who_are_you(), exit_codes.FAILED)
        try:
            answer = json.loads(data)
        except ValueError as error:
            raise Unavailable(f"what answers at {self.url} is no MultiProxy") from error
        if status >= 400:
            raise Refused(status, str(answer.get("error") or f"status {status}"))
        return answer

    def _sign_in(self) -> bool:
        if self._cookie:
            return False
        if self._link_token:
            target = "/login?" + urlencode({"token": self._link_token})
            headers = self._request("GET", target, "", TIMEOUT_S)[2]
        elif self._password is not None:
            body = urlencode({"password": self._password})
            headers = self._request("POST", "/login", body, TIMEOUT_S)[2]
        else:
            return False
        self._cookie = headers.get("Set-Cookie", "").partition(";")[0]
        return bool(self._cookie)

    def _who_are_you(self) -> str:
        asks = f"the dashboard at {self.url} wants to know who you are: "
        if self._link_token:
            return asks + "the link was used or is old, the log has the next one"
        return asks + (
            f"set {PASSWORD_VARIABLE}, or name the config.yaml that has its password; with "
            "'auth: token' give the link from its log as --url"
        )

    def _exchange(self, method: str, target: str, body: str, timeout_s: float) -> tuple[int, bytes]:
        status, data, _ = self._request(method, target, body, timeout_s)
        return status, data

    def _request(
        self, method: str, target: str, body: str, timeout_s: float
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        kind = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=timeout_s)
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if self._cookie:
            headers["Cookie"] = self._cookie
        try:
            connection.request(method, target, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"nothing answers at {self.url} ({_reason(error)}). "
                "Start it with: multiproxy serve; or name another: --url"
            ) from error
        finally:
            connection.close()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    return str(getattr(error, "strerror", None) or error or type(error).__name__).lower()


def find_instance(options: argparse.Namespace, environ: Mapping[str, str]) -> Instance:
    """The one that ``--url``, the environment or the config names.

    Raises:
        Unavailable: the config says there is no dashboard, or an address makes no sense.
    """
    password = environ.get(PASSWORD_VARIABLE)
    if named := options.url or environ.get("MULTIPROXY_URL"):
        return Instance(named, password)
    config = _config(options.config, environ)
    settings = config.dashboard if config else None
    if password is None and settings is not None:
        password = settings.password
    try:
        listen = _listen(config, environ)
    except Malformed as error:
        raise Unavailable(f"MULTIPROXY_DASHBOARD: {error}", exit_codes.USAGE) from error
    return Instance(f"http://{reachable(listen)}", password)


def _listen(config: Config | None, environ: Mapping[str, str]) -> Address:
    if override := environ.get("MULTIPROXY_DASHBOARD"):
        return address(override)
    if config is None:
        return _DEFAULT
    if config.dashboard is None:
        raise Unavailable(
            "the dashboard is off in the config, and there is no other way to talk to a running "
            "MultiProxy",
            exit_codes.USAGE,
        )
    return config.dashboard.listen


def _config(named: str | None, environ: Mapping[str, str]) -> Config | None:
    path = named or find(environ)
    if path is None:
        return None
    try:
        return load(path)
    except ConfigError as error:
        # Whoever edits the file must still be able to ask the one that runs with the old one.
        print(f"{error.name} has mistakes (multiproxy check); trying {_DEFAULT}", file=sys.stderr)
        return None


def talk(options: argparse.Namespace, what: Any) -> int:
    """Run ``what(instance)`` and return its exit status, or the one of what went wrong."""
    try:
        return int(what(find_instance(options, os.environ)))
    except Unavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_codes.FAILED
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
