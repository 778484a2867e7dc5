"""The Jinja environment: everything is text until a template says otherwise."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from multiproxy.supervisor.dashboard import formats

FILTERS = (
    formats.tokens,
    formats.big_tokens,
    formats.rate,
    formats.seconds,
    formats.elapsed,
    formats.milliseconds,
    formats.percent,
    formats.context,
    formats.span,
    formats.clock,
    formats.compact,
    formats.iso,
)


@cache
def environment(folder: Path) -> Environment:
    """One per folder and process. Templates are read once: a restart shows a changed one."""
    env = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update({function.__name__: function for function in FILTERS})
    return env
