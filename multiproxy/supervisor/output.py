"""What a server wrote last: a bounded number of lines, harmless to look at."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from multiproxy.config.command import MASK
from multiproxy.supervisor.log import printable

KEPT_LINES = 200
LONGEST_LINE = 500  # characters; the rest of a line is not kept
_LEAST_SECRET = 4  # characters: a shorter one would blot out words that mean nothing


class Line(NamedTuple):
    """One line, without control characters; ``at`` is Unix time in seconds."""

    at: float
    text: str


class Output:
    """The newest lines of one server, over all its starts. ``secrets`` never appear in them."""

    def __init__(self, secrets: Sequence[str] = (), clock: Callable[[], float] = time.time) -> None:
        self.lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self._secrets = [each for each in secrets if len(each) >= _LEAST_SECRET]
        self._clock = clock
        self._begun = b""  # of a line that has not ended

    def feed(self, piece: bytes) -> None:
        """Take over what was written, in pieces of any size."""
        *ended, self._begun = (self._begun + piece).replace(b"\r", b"\n").split(b"\n")
        for line in ended[-KEPT_LINES:]:
            self._keep(line)
        if len(self._begun) > 4 * LONGEST_LINE:  # bytes of a character at most
            self._keep(self._begun)
            self._begun = b""

    def end(self) -> None:
        """Nothing more comes from this process: what it began to write is a line too."""
        self._keep(self._begun)
        self._begun = b""

    def note(self, text: str) -> None:
        """Add a line of our own."""
        self.lines.append(Line(self._clock(), text))

    @property
    def last(self) -> str:
        """The newest line; "" when there is none."""
        return self.lines[-1].text if self.lines else ""

    def without_secrets(self, text: str) -> str:
        """``text`` with every secret blotted out."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def _keep(self, line: bytes) -> None:
        text = self.without_secrets(line.decode("utf-8", "replace").rstrip())
        if text:
            self.lines.append(Line(self._clock(), printable(text[:LONGEST_LINE])))
