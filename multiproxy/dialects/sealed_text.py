"""Text that travels through a client in a field made for signatures and ciphertext.

Clients of both dialects hand such a field back unread, which is how reasoning comes back
to a backend that is to continue it. The form is a marker and zlib, no secret: it hides
nothing and proves nothing.
"""

import binascii
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

_MARKER = "mp1.z."
MAX_UNSEALED = 16 << 20
"""Bytes a sealed text may unpack to: zlib shrinks a thousandfold, a client could send bombs."""


def seal(text: str) -> str:
    """``text`` as an opaque ASCII string that ``unseal`` undoes."""
    return _MARKER + urlsafe_b64encode(zlib.compress(text.encode())).decode()


def unseal(sealed: object) -> str | None:
    """The text that was sealed; None for anything that is not ours or was damaged."""
    if not isinstance(sealed, str) or not sealed.startswith(_MARKER):
        return None
    unpacker = zlib.decompressobj()
    try:
        packed = urlsafe_b64decode(sealed[len(_MARKER) :])
        text = unpacker.decompress(packed, MAX_UNSEALED)
        return text.decode() if unpacker.eof else None
    except (binascii.Error, zlib.error, ValueError):
        return None
