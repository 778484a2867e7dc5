"""Answers written word for word by a test: ``@script NAME``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import wire

if TYPE_CHECKING:
    from .connection import Connection
    from .settings import Script


class ScriptedAnswer:
    """Sends a script's pieces, waiting where it has numbers. It takes no slot.

    Pieces are chunks of an event stream; a script whose first piece begins with ``HTTP/``
    is sent raw, head included, and ends the connection.
    """

    streams = True

    def __init__(self, connection: Connection, script: Script) -> None:
        self.left = False
        self._connection = connection
        self._pieces: Iterator[bytes | float] = iter(script)
        first = next((piece for piece in script if isinstance(piece, bytes)), b"")
        self._raw = first.startswith(b"HTTP/")

    def run(self) -> None:
        """Begin."""
        if not self._raw:
            self._connection.begin_stream()
        clock = self._connection.server.clock
        clock.at(clock.now(), self._go)

    def client_left(self) -> None:
        """Stop; nothing more is written."""
        self.left = True

    abandon = freeze = client_left

    def _go(self, due: float) -> float | None:
        if self.left:
            return None
        for piece in self._pieces:
            if not isinstance(piece, bytes):
                return due + piece
            self._connection.send(piece if self._raw else wire.chunk(piece))
        if self._raw:
            self._connection.close()
        else:
            self._connection.end_stream()
        return None
