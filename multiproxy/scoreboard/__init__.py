"""Numbers that all processes share; ``layout.py`` is the drawing."""

from multiproxy.scoreboard.backends import BackendBoard, BackendRow, BackendState
from multiproxy.scoreboard.board import Scoreboard
from multiproxy.scoreboard.deaths import Deaths
from multiproxy.scoreboard.keys import KeyUsage
from multiproxy.scoreboard.layout import BACKENDS, NO_BACKEND, WORKERS
from multiproxy.scoreboard.live import BAR_NS, BARS, LiveTable, Phase, Running
from multiproxy.scoreboard.load import Load
from multiproxy.scoreboard.memory import Memory, Trace
from multiproxy.scoreboard.ring import NO_CHOICE, TRIES, UNKNOWN, Choice, Finished, Ring, Try
from multiproxy.scoreboard.workers import Pressure, WorkerRow, WorkerRows, WorkerState

__all__ = [
    "BACKENDS",
    "BARS",
    "BAR_NS",
    "NO_BACKEND",
    "NO_CHOICE",
    "TRIES",
    "UNKNOWN",
    "WORKERS",
    "BackendBoard",
    "BackendRow",
    "BackendState",
    "Choice",
    "Deaths",
    "Finished",
    "KeyUsage",
    "LiveTable",
    "Load",
    "Memory",
    "Phase",
    "Pressure",
    "Ring",
    "Running",
    "Scoreboard",
    "Trace",
    "Try",
    "WorkerRow",
    "WorkerRows",
    "WorkerState",
]
