"""The fields of a request's head -> whose key it is.

Keys are known by their digests only. A look-up takes the digest of the whole key, so its time
tells nothing about the key, and two keys with the same beginning have nothing in common.
"""

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence

from multiproxy.auth.principal import Principal
from multiproxy.config import Key, digest
from multiproxy.errors import BadFraming, NotAuthenticated

_BEARER = re.compile(rb"bearer +([!-~]+)", re.IGNORECASE)  # RFC 6750 section 2.1, RFC 9110 11.4
_KEY = re.compile(rb"[!-~]{1,4096}")
_PREFIX = "sha256:"
_CHALLENGE = ((b"www-authenticate", b"Bearer"),)  # RFC 9110 section 11.6.1: a 401 has one


class Keyring:
    """The keys of one configuration; ``indices`` are their rows by name."""

    def __init__(self, keys: Sequence[Key], indices: Mapping[str, int]) -> None:
        self._principals = {
            bytes.fromhex(key.key.removeprefix(_PREFIX)): Principal.of(key, indices[key.name])
            for key in keys
        }

    def __len__(self) -> int:
        return len(self._principals)

    def __iter__(self) -> Iterator[Principal]:
        return iter(self._principals.values())

    def find(self, authorization: bytes | None, x_api_key: bytes | None) -> Principal:
        """Return whose key a request carries, in either of the two fields that clients use.

        Raises:
            NotAuthenticated: none, or one that nobody has.
            BadFraming: two different ones: who of us and of a proxy before us is right?
        """
        key = x_api_key
        if authorization is not None:
            match = _BEARER.fullmatch(authorization)
            if match is None:
                raise _wrong("The Authorization field is not 'Bearer KEY'.")
            key = match[1]
            if x_api_key is not None and not hmac.compare_digest(key, x_api_key):
                raise BadFraming("Authorization and x-api-key hold different keys.")
        if not key:
            raise NotAuthenticated(
                "This server wants an API key: send 'Authorization: Bearer KEY' or 'x-api-key'.",
                headers=_CHALLENGE,
            )
        if _KEY.fullmatch(key) is None:
            raise _wrong("The API key has characters that no key has.")
        principal = self._principals.get(digest(key))
        if principal is None:
            raise _wrong("The API key is not valid.")
        return principal


def _wrong(message: str) -> NotAuthenticated:
    return NotAuthenticated(message, code="invalid_api_key", headers=_CHALLENGE)
