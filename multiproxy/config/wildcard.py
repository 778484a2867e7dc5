"""Model names with ``*`` in them: how they are written, and what they match."""

import re
from collections.abc import Iterable

from multiproxy.config.setting import Grammar

WILDCARD = Grammar(
    re.compile(r"[A-Za-z0-9*][A-Za-z0-9._:/@+*-]{0,199}"),
    "a model name, in which * stands for any text",
)


def matching(names: Iterable[str]) -> re.Pattern[str]:
    """Return what matches any of the names, from end to end, with ``fullmatch``."""
    alternatives = (".*".join(map(re.escape, name.split("*"))) for name in names)
    return re.compile("|".join(alternatives), re.DOTALL)
