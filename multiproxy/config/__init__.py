"""config.yaml -> frozen dataclasses: all settings, all defaults, all units, all mistakes."""

from multiproxy.config.model import (
    Address,
    Backend,
    Config,
    Dashboard,
    Duration,
    Limits,
    Log,
    Model,
    Retry,
    Simulate,
    Size,
    Timeouts,
    Url,
)

__all__ = [
    "Address",
    "Backend",
    "Config",
    "Dashboard",
    "Duration",
    "Limits",
    "Log",
    "Model",
    "Retry",
    "Simulate",
    "Size",
    "Timeouts",
    "Url",
]
