"""Streams through a ``Passthrough``, as the endpoint of a recording has it."""

from multiproxy.dialects.passthrough import Passthrough


def passthrough(name: str = "chat") -> Passthrough:
    """The translator that a recording's endpoint has."""
    chat = name.startswith(("chat", "router.chat", "error.mid-stream.chat"))
    return Passthrough("req_1", needs_role=chat, native=name.startswith("completion.native"))


def run(pieces, translator: Passthrough) -> bytes:
    """Everything that goes out for a stream in these pieces, and its end."""
    out = b"".join(translator.feed(piece) for piece in pieces)
    return out + translator.eof()
