"""config.yaml -> frozen dataclasses: all settings, all defaults, all units, all mistakes."""

from multiproxy.config.access import BackendTls, Key, Tls, digest, exposures
from multiproxy.config.backend import Backend, Simulate, Variable
from multiproxy.config.capture import Capture
from multiproxy.config.load import load, parse
from multiproxy.config.model import (
    Arm,
    Config,
    Dashboard,
    History,
    Limits,
    Log,
    Metrics,
    Mirror,
    Model,
    Retry,
    Timeouts,
)
from multiproxy.config.problems import ConfigError, Problem, as_json, render
from multiproxy.config.snapshot import SnapshotError, decode, encode
from multiproxy.config.translation import Effort, Translation
from multiproxy.config.values import Address, Duration, Size, Url
from multiproxy.config.wildcard import matching

__all__ = [
    "Address",
    "Arm",
    "Backend",
    "BackendTls",
    "Capture",
    "Config",
    "ConfigError",
    "Dashboard",
    "Duration",
    "Effort",
    "History",
    "Key",
    "Limits",
    "Log",
    "Metrics",
    "Mirror",
    "Model",
    "Problem",
    "Retry",
    "Simulate",
    "Size",
    "SnapshotError",
    "Timeouts",
    "Tls",
    "Translation",
    "Url",
    "Variable",
    "as_json",
    "decode",
    "digest",
    "encode",
    "exposures",
    "load",
    "matching",
    "parse",
    "render",
]
