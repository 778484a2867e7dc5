"""The supervisor's log: one line per thing that happened, and never a wait for whoever reads it.

A line goes into a bounded queue; a thread writes it. When standard error is a full pipe or a
full disk, lines are dropped and counted, and the count is logged once writing works again.
The newest lines are also kept for the dashboard.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Literal, NamedTuple

import orjson

WAITING_LINES = 1000  # of some 200 bytes
RECENT_EVENTS = 200
CLOSE_S = 1.0  # how long the last lines may take


class Level(IntEnum):
    """Syslog priorities, which systemd reads from ``<n>`` at the start of a line."""

    ERROR = 3
    WARNING = 4
    INFO = 6


_SHOWN = {Level.ERROR: "ERROR ", Level.WARNING: "WARN ", Level.INFO: ""}


class Event(NamedTuple):
    """A line that was logged; ``seq`` grows by one, ``at`` is Unix time in seconds.

    ``mark`` is what a chart over time writes at this moment, "" for what needs no line there.
    """

    seq: int
    at: float
    level: Level
    text: str
    mark: str = ""


def printable(text: str) -> str:
    """``text`` on one line: what a backend or file calls itself must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def text_line(at: float, level: Level, text: str) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(at))
    return f"{clock} {_SHOWN[level]}{printable(text)}\n"


def journal_line(at: float, level: Level, text: str) -> str:
    """systemd adds the time itself."""
    return f"<{int(level)}>{printable(text)}\n"


def json_line(at: float, level: Level, text: str) -> str:
    whole = {"ts": round(at, 3), "level": level.name.lower(), "event": "supervisor", "text": text}
    return orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE).decode()


def line_format(
    choice: Literal["auto", "text", "json"], fd: int
) -> Callable[[float, Level, str], str]:
    """``auto``: text on a terminal and under systemd, JSON otherwise."""
    if "JOURNAL_STREAM" in os.environ and choice != "json":
        return journal_line
    if choice == "text" or (choice == "auto" and os.isatty(fd)):
        return text_line
    return json_line


class Log:
    """``info``, ``warning`` and ``error`` return at once; ``close`` waits up to CLOSE_S."""

    def __init__(self, choice: Literal["auto", "text", "json"] = "auto", fd: int = 2) -> None:
        self.events: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self.dropped = 0
        self.is_muted = False  # the start-up screen shows what happens; errors are written still
        self._format = line_format(choice, fd)
        self._fd = fd
        self._seq = 0
        self._lines: deque[str] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def info(self, text: str, mark: str = "") -> None:
        self._log(Level.INFO, text, mark)

    def warning(self, text: str, mark: str = "") -> None:
        self._log(Level.WARNING, text, mark)

    def error(self, text: str) -> None:
        self._log(Level.ERROR, text)

    def plain(self, text: str) -> None:
        """Text for a person at a terminal, without time or level."""
        self._put(text)

    def close(self) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(CLOSE_S)

    def _log(self, level: Level, text: str, mark: str = "") -> None:
        self._seq += 1
        event = Event(self._seq, time.time(), level, text, mark)
        self.events.append(event)
        if level is Level.ERROR or not self.is_muted:
            self._put(self._format(event.at, level, text))

    def _put(self, line: str) -> None:
        with self._wake:
            if len(self._lines) >= WAITING_LINES:
                self.dropped += 1
                return
            self._lines.append(line)
            self._wake.notify()

    def _write(self) -> None:
        reported = 0
        while True:
            with self._wake:
                while not self._lines and not self._closing:
                    self._wake.wait()
                if not self._lines:
                    return
                line = self._lines.popleft()
            missing = self.dropped - reported
            if missing:
                reported += missing
                line = self._format(time.time(), Level.WARNING, f"{missing} lines lost") + line
            try:
                _write_all(self._fd, line.encode("utf-8", "replace"))
            except OSError:  # closed, or no space: nobody is left to tell
                self.dropped += 1


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def is_terminal(fd: int = 2) -> bool:
    """Whether a person looks on and cursor movements work."""
    return os.isatty(fd) and os.environ.get("TERM") != "dumb" and sys.platform != "win32"
