"""The ids that clients see: new ones, and a backend's own where they can be kept.

Randomness is handed in: ids need to differ, not to be secret.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from random import Random
from re import compile as pattern

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_REVERSIBLE = "toolu_mp_"
# What Anthropic's API accepts as the id of a tool call.
_PLAIN = pattern(r"[A-Za-z0-9_-]{1,128}\Z")


def base62(length: int, random: Random) -> str:
    """``length`` random letters and digits."""
    return "".join(random.choices(_BASE62, k=length))


def hex_digits(length: int, random: Random) -> str:
    """``length`` random hexadecimal digits."""
    return f"{random.getrandbits(4 * length):0{length}x}"


class CallIds:
    """The ids of one answer's tool calls: unique in it and against the history's.

    Some servers call every turn's first call ``call_0``; clients match results by id.
    """

    def __init__(self, random: Random, taken: Iterable[str] = ()) -> None:
        self._random = random
        self._taken = set(taken)

    def claim(self, backend_id: str) -> str:
        """An id for a Responses client: the backend's own if it is new."""
        return self._unique(backend_id or f"call_{base62(24, self._random)}")

    def claim_plain(self, backend_id: str) -> str:
        """An id for a Messages client, whose ids have fewer characters; see ``backend_id``."""
        if not backend_id:
            return self._unique(f"toolu_{base62(24, self._random)}")
        if not _PLAIN.match(backend_id) or backend_id.startswith(_REVERSIBLE):
            backend_id = _wrapped(backend_id)
        return self._unique(backend_id)

    def _unique(self, candidate: str) -> str:
        while candidate in self._taken:
            candidate = f"{candidate}_{base62(6, self._random)}"
        self._taken.add(candidate)
        return candidate


def backend_id(client_id: str) -> str:
    """The id that a backend gave to the call which a Messages client knows as ``client_id``.

    Kimi's template needs its own ids back (``functions.f:0``). An id that got a suffix to be
    unique stays as it is: only equality inside the conversation matters.
    """
    if not client_id.startswith(_REVERSIBLE):
        return client_id
    text = client_id[len(_REVERSIBLE) :]
    try:
        original = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return client_id
    return original if _wrapped(original) == client_id else client_id


def _wrapped(original: str) -> str:
    text = urlsafe_b64encode(original.encode()).decode()
    return _REVERSIBLE + text.rstrip("=")
