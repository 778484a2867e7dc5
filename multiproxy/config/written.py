"""Values -> the text config.yaml has for them: the inverse of `scalar`, for people to read."""

from typing import Any, get_args, get_origin

from multiproxy.config.scalar import is_scalar
from multiproxy.config.setting import About
from multiproxy.config.values import Duration, Size

Plain = str | int | float | bool | None
"""What YAML and JSON have a form of their own for."""

_DURATIONS = ((86400, "d"), (3600, "h"), (60, "m"))
_SIZES = ((2**30, "GiB"), (10**9, "GB"), (2**20, "MiB"), (10**6, "MB"), (2**10, "KiB"))


def written(hint: Any, about: About, value: Any) -> Plain:
    """One value of a scalar type; ``None`` is ``auto`` where that word means it."""
    assert is_scalar(hint)
    if value is None:
        return "auto" if about.auto else None
    if hint == Duration:
        return _duration(value)
    if hint == Size:
        return _size(value)
    if hint in (bool, int):
        return hint(value)  # type: ignore[no-any-return]
    if hint is float:
        return int(value) if value == int(value) else float(value)
    return str(value)


def item_of(hint: Any) -> Any:
    """The type of a list's items: ``tuple[T, ...]`` -> ``T``; None when it is no list."""
    return get_args(hint)[0] if get_origin(hint) is tuple else None


def _duration(seconds: float) -> Plain:
    if seconds == 0:
        return 0
    for size, unit in _DURATIONS:
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    if seconds < 1:
        return f"{seconds * 1000:.12g}ms"
    return f"{seconds:.12g}s"


def _size(count: int) -> Plain:
    for size, unit in _SIZES:
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return count
