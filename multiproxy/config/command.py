"""A command line of the file: split as a shell would split it, and shown without its secrets.

No shell ever runs it: the words are handed to the system as they are, so neither a variable's
value nor a model's path can start another program.
"""

import re
import shlex
from collections.abc import Sequence

PORT = "${PORT}"  # filled in when the command is run, not when the file is read
MASK = "***"

_SECRET = r"(?:key|token|password|secret)"
_FLAG = re.compile(rf"--?(?:[\w-]*-)?{_SECRET}|-hft", re.IGNORECASE)  # its value is the next word
_ASSIGNED = re.compile(rf"((?:--?)?(?:[\w.-]*[_.-])?{_SECRET}=).+", re.IGNORECASE | re.DOTALL)


def words_of(text: str) -> list[str]:
    """The words of a command that is written as one text.

    Raises:
        ValueError: a quotation does not end.
    """
    # A backslash at the end of a line goes on with the next one, as in a shell.
    return shlex.split(text.replace("\\\n", " "))


def masked(words: Sequence[str]) -> list[str]:
    """The words with the value of every option that sounds like a secret made unreadable.

    That is the word after ``--api-key`` and its like, and what follows ``API_KEY=``; names of
    files (``--api-key-file``) are none.
    """
    shown: list[str] = []
    for index, word in enumerate(words):
        if index and _FLAG.fullmatch(words[index - 1]):
            shown.append(MASK)
        else:
            shown.append(_ASSIGNED.sub(rf"\1{MASK}", word) if _ASSIGNED.fullmatch(word) else word)
    return shown


def secrets_in(words: Sequence[str]) -> list[str]:
    """The values that `masked` hides, which a program may also print."""
    found = []
    for word, shown in zip(words, masked(words), strict=True):
        if word != shown:
            found.append(word[len(shown) - len(MASK) :])
    return found


def filled(text: str, port: int) -> str:
    """``text`` with the port in its place."""
    return text.replace(PORT, str(port))
