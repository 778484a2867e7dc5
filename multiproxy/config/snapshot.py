"""A checked config as bytes, the way it travels from the supervisor to the workers.

JSON, so a worker can be started by hand with one; rebuilt by the same type hints the binder
uses. Not meant to be kept: both ends run the same code, and a difference is an error.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin

import orjson

from multiproxy.config.model import Config
from multiproxy.config.setting import settings_of, without_none


class SnapshotError(ValueError):
    """The bytes are no snapshot of this version's config."""


def encode(config: Config, extra: Mapping[str, Any] | None = None) -> bytes:
    """``extra`` holds the supervisor's own facts, JSON values only: ports of simulated backends.

    The bytes hold secrets: they belong into memory, not into a file.
    """
    return orjson.dumps({"config": config, "extra": dict(extra or {})})


def decode(snapshot: bytes) -> tuple[Config, dict[str, Any]]:
    """The config and the ``extra`` that `encode` was given.

    Raises:
        SnapshotError: it is not JSON, or its settings are not those of `Config`.
    """
    try:
        content = orjson.loads(snapshot)
        return _rebuild(Config, content["config"]), dict(content["extra"])
    except (KeyError, TypeError, ValueError) as error:
        # `from None`: the cause's message may hold a part of a secret.
        raise SnapshotError(f"not a config snapshot ({type(error).__name__})") from None


def _rebuild(hint: Any, value: Any) -> Any:
    hint, optional = without_none(hint)
    if value is None and optional:
        return None
    if is_dataclass(hint) and isinstance(hint, type):
        settings = settings_of(hint)
        if not isinstance(value, dict) or value.keys() != settings.keys():
            raise TypeError(hint.__name__)
        # `hint` of a Setting is without None; whether None is allowed was checked on the way in.
        return hint(
            **{
                name: None if value[name] is None else _rebuild(setting.hint, value[name])
                for name, setting in settings.items()
            }
        )
    if get_origin(hint) is tuple:
        (item, _) = get_args(hint)
        return tuple(_rebuild(item, part) for part in value)
    return value
