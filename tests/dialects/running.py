"""Runs a translator as the worker does."""

from collections.abc import Iterable

from multiproxy.dialects.messages_answer import MessagesAnswer
from multiproxy.dialects.responses_answer import ResponsesAnswer


def run(translator: MessagesAnswer | ResponsesAnswer, pieces: Iterable[bytes]) -> bytes:
    """Everything the client gets."""
    out = []

    def give(data: bytes) -> None:
        if translator.started or translator.finished:
            out.append(translator.open())
        out.append(data)

    for piece in pieces:
        give(translator.feed(piece))
    if not translator.finished and translator.failure is None:
        give(translator.eof())
    if translator.failure is not None:
        out.append(translator.fail(translator.failure))
    return b"".join(out)
