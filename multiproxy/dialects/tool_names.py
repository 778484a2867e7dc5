"""What a client's tool is called towards a Chat backend, which allows fewer names.

The names depend on nothing but the request: they stand at the head of the prompt, and an
engine's prefix cache ends at the first byte that differs.
"""

import re
from hashlib import blake2s

_REFUSED = re.compile(r"[^A-Za-z0-9_-]")
_MAX_LENGTH = 64
_KEPT_LENGTH = 55  # of a name that gets a hash: 55 + "_" + 8 = 64


class ToolNames:
    """Gives every name of the client its own Chat name: ``[A-Za-z0-9_-]{1,64}``."""

    def __init__(self) -> None:
        self._chat_names: dict[str, str] = {}
        self._taken: set[str] = set()

    def claim(self, name: str) -> str:
        """The Chat name for ``name``; the same one every time."""
        if name not in self._chat_names:
            self._chat_names[name] = chat_name = self._free_name(name)
            self._taken.add(chat_name)
        return self._chat_names[name]

    def _free_name(self, name: str) -> str:
        clean = _REFUSED.sub("_", name) or "_"
        if len(clean) <= _MAX_LENGTH and clean not in self._taken:
            return clean
        salt = b""
        while True:
            digest = blake2s(name.encode("utf-8", "replace") + salt, digest_size=4).hexdigest()
            candidate = f"{clean[:_KEPT_LENGTH]}_{digest}"
            if candidate not in self._taken:
                return candidate
            salt += b"+"
