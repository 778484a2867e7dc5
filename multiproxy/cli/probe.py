"""``check --probe``: what each backend of a config says right now, as a table or as JSON."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from multiproxy._http.tls import backend_context
from multiproxy.config import Backend, Config, Url
from multiproxy.config.discovered import Place, expand, sought
from multiproxy.errors import BadCertificate
from multiproxy.scoreboard import BackendState
from multiproxy.supervisor.discovery import find
from multiproxy.supervisor.log import printable
from multiproxy.supervisor.look import facts_seen, look
from multiproxy.supervisor.probe_http import ProbeConnection
from multiproxy.supervisor.resolver import CannotResolve
from multiproxy.supervisor.verdict import Standing, judge

TIMEOUT_S = 5.0  # for each question
_SHOWN_MODELS = 2
_HEAD = ("backend", "state", "model", "slots", "context", "answered in")
SIMULATED = "simulated"
COMMAND = "command"  # it may be run for a request, or not


@dataclass(frozen=True, slots=True)
class Finding:
    """One backend. ``slots`` and ``context_size`` are 0 when unknown."""

    id: str
    state: str
    reason: str = ""
    models: tuple[str, ...] = ()
    slots: int = 0
    context_size: int = 0
    answered_ms: float = 0.0

    @property
    def is_down(self) -> bool:
        return self.state == BackendState.DOWN.name.lower()


def found(config: Config) -> Config:
    """The config with the servers that DNS has now instead of the names that stand for them."""

    async def look_up() -> dict[Url, tuple[Place, ...]]:
        places: dict[Url, tuple[Place, ...]] = {}
        for url in sought(config):
            with contextlib.suppress(CannotResolve):  # its one backend shows as down
                places[url] = tuple(sorted((await find(url))[0]))
        return places

    return expand(config, asyncio.run(look_up()))


def probe(config: Config, timeout_s: float = TIMEOUT_S) -> list[Finding]:
    """Ask every backend, all at once, in the order of the config."""

    async def ask_all() -> list[Finding]:
        return await asyncio.gather(*(_ask(each, timeout_s) for each in config.backends))

    return asyncio.run(ask_all())


async def _ask(backend: Backend, timeout_s: float) -> Finding:
    if backend.command:
        return _of_command(backend)
    if backend.url is None:  # `serve` starts it
        return Finding(backend.id, SIMULATED)
    try:
        tls = backend_context(backend.tls, backend.url)
    except BadCertificate as error:
        return Finding(backend.id, BackendState.DOWN.name.lower(), str(error))
    name = backend.tls.server_name if backend.tls else None
    connection = ProbeConnection(backend.url, backend.api_key, tls, name)
    started = time.monotonic()
    try:
        sight = await look(connection, timeout_s)
    finally:
        connection.close()
    answered_ms = round((time.monotonic() - started) * 1000, 1)
    standing = judge(sight, Standing(), alive=False)
    facts = facts_seen(sight)
    state = standing.state.name.lower()
    if facts is None:
        return Finding(backend.id, state, standing.reason, answered_ms=answered_ms)
    return Finding(
        backend.id,
        state,
        standing.reason,
        tuple(model["id"] for model in facts["models"]),
        backend.slots or facts["slots"],
        backend.context_size or facts["n_ctx"],
        answered_ms,
    )


def _of_command(backend: Backend) -> Finding:
    """Nothing is run; but a program that is not there would not be there later either."""
    program = (backend.command or ("",))[0]
    if shutil.which(program) is None:
        down = BackendState.DOWN.name.lower()
        return Finding(backend.id, down, f"there is no program {program!r} to run")
    return Finding(backend.id, COMMAND)


def as_json(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [asdict(finding) for finding in findings]


def table(config: Config, findings: Sequence[Finding]) -> str:
    """The backends, then what is odd about them, then how many are down."""
    rows = [_HEAD, *(_cells(finding) for finding in findings)]
    # A reason may be long: it does not widen the columns of the others.
    widths = [max(len(row[i]) for row in rows if len(row) > 3 or i < 2) for i in range(len(_HEAD))]
    lines = [
        "  " + "  ".join(cell.ljust(widths[i]) for i, cell in enumerate(row)).rstrip()
        for row in rows
    ]
    odd = [f"warning: {warning}" for warning in _warnings(config, findings)]
    down = sum(finding.is_down for finding in findings)
    verb = "is" if down == 1 else "are"
    total = f"{down} of {len(findings)} backend{'' if len(findings) == 1 else 's'} {verb} down"
    return "\n".join([*lines, "", *odd, *([total] if down else ["no backend is down"])])


def _cells(finding: Finding) -> tuple[str, ...]:
    if finding.reason or finding.state in (SIMULATED, COMMAND):
        text = finding.reason or "started by multiproxy serve"
        return finding.id, finding.state, printable(text)
    names = ", ".join(finding.models[:_SHOWN_MODELS])
    more = len(finding.models) - _SHOWN_MODELS
    return (
        finding.id,
        finding.state,
        printable(names + (f" and {more} more" if more > 0 else "")) or "–",
        str(finding.slots or "–"),
        f"{finding.context_size:,}" if finding.context_size else "–",
        f"{finding.answered_ms:,.0f} ms",
    )


def _warnings(config: Config, findings: Sequence[Finding]) -> Iterator[str]:
    """What works, but not as somebody who wrote this config expects."""
    by_id = {finding.id: finding for finding in findings}
    reported = {name for finding in findings for name in finding.models}
    is_complete = all(finding.models for finding in findings)
    for model in config.models:
        serving = [by_id[name] for name in model.backends if name in by_id] or findings
        sizes = {each.context_size for each in serving if each.context_size}
        if model.backends and len(sizes) > 1:
            yield f"model '{model.name}' has backends with different context sizes"
        if not model.backends and is_complete and model.name not in reported:
            yield f"no backend reports a model '{model.name}'"
