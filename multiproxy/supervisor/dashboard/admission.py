"""Who may talk to the dashboard: which Host names are ours, which origins may change things.

Both checks defend a browser's owner against other web pages. Host: a page of evil.example can
point its own name at 127.0.0.1 (DNS rebinding) and would then be same-origin with us, unless
we refuse names that are not ours. Origin: a form on any page can POST to us without reading
the answer. An address literal needs no list beyond the one we were reached at, because
rebinding needs a name.
"""

import re
from collections.abc import Iterable

from multiproxy.errors import BadFraming, Misdirected, NotAllowed

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

# Source: RFC 9110 section 7.2 and RFC 3986 section 3.2.2, without the exotic parts.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]{1,255})(?::([0-9]{1,5}))?")


class Admission:
    """The checks of one listener. ``allowed_hosts`` are further names, without ports."""

    def __init__(self, allowed_hosts: Iterable[str]) -> None:
        self._names = LOOPBACK | {name.lower() for name in allowed_hosts}

    def check_host(self, authority: str, local_address: str) -> None:
        """``local_address`` is the IP address the connection came in on.

        The port is not compared: behind a container's port mapping it differs.

        Raises:
            BadFraming: not a host with an optional port.
            Misdirected: a host, but not one of ours.
        """
        match = _AUTHORITY.fullmatch(authority)
        if match is None:
            raise BadFraming("The Host header is not a host name.")
        name = match[1].lower()
        literal = f"[{local_address}]" if ":" in local_address else local_address
        if name not in self._names and name != literal.lower():
            raise Misdirected(
                "This dashboard does not answer to that host name. "
                "Add the name to allowed_hosts in the configuration."
            )

    def check_origin(self, authority: str, origin: str | None, fetch_site: str | None) -> None:
        """For requests that change something. Programs such as curl send neither header.

        ``Origin: null`` is refused: it is what a sandboxed frame or a local file sends, and
        what our own forms would send under the policy no-referrer (Fetch standard, "append a
        request Origin header"); our pages have the policy same-origin instead. A program that
        sends neither header, and a browser too old for both, still need the token, which only
        our pages can read.

        Raises:
            NotAllowed: sent by a page that is not ours.
        """
        if origin is not None:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or rest.lower() != authority.lower():
                raise NotAllowed("The request was sent by a page of another origin.")
        if fetch_site is not None and fetch_site not in ("same-origin", "none"):
            raise NotAllowed("The request was sent by a page of another origin.")
