"""Keeping requests and answers for debugging, prompts and all: only if somebody asks for it."""

from dataclasses import dataclass

from multiproxy.config.access import KEY_NAME
from multiproxy.config.setting import setting
from multiproxy.config.values import KIB, MIB, Size


@dataclass(frozen=True, slots=True)
class Capture:
    """The newest requests and answers, one file each; what looks like a secret is left out."""

    requests: int = setting(20, "how many are kept, the newest", least=1, most=1000)
    size: Size = setting(
        256 * KIB, "bytes of a request, and of its answer, that are kept", least=KIB, most=64 * MIB
    )
    keys: tuple[str, ...] = setting(
        (), "names of the keys whose requests are kept; none = everyone's", grammar=KEY_NAME
    )
    folder: str | None = setting(
        None,
        "where, for the user of MultiProxy alone; auto = in memory until it ends, the log names "
        "the place",
        auto=True,
    )
