"""A llama-server look-alike: demo, tests and performance runs talk to it.

It stands alone: nothing here is shared with the proxy, so it can also judge it.
"""

from .command import add_arguments, execute, main, settings_of
from .facts import Facts
from .faults import KINDS, Fault
from .server import Server, run, start
from .settings import Settings

__all__ = [
    "KINDS",
    "Facts",
    "Fault",
    "Server",
    "Settings",
    "add_arguments",
    "execute",
    "main",
    "run",
    "settings_of",
    "start",
]
