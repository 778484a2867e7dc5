"""What a person at a terminal sees first: addresses, and the backends as they come up.

The backends' lines are redrawn in place until each is settled, for SETTLE_S at most, or until
somebody else writes to the terminal: the first client's log line, or an error. From then on
changes are log lines.
"""

from collections.abc import Sequence
from typing import NamedTuple

from multiproxy import __version__
from multiproxy.config import Address, Config
from multiproxy.scoreboard import BackendState
from multiproxy.supervisor.log import Log, printable
from multiproxy.supervisor.probes import Probe, span

SETTLE_S = 60.0

_MARKS = {
    BackendState.UP: "✓",
    BackendState.SLEEPING: "✓",
    BackendState.DOWN: "✗",
    BackendState.STOPPED: "·",
}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_READY = (BackendState.UP, BackendState.SLEEPING, BackendState.STOPPED)
_SETTLED = (*_READY, BackendState.DOWN)


class Facts(NamedTuple):
    """What the head of the screen says."""

    api: Address
    dashboard: Address | None
    config_path: str
    config: Config


def head(facts: Facts) -> str:
    """The lines that never change."""
    config = facts.config
    counts = f"{_plural(len(config.backends), 'backend')}"
    if config.models:
        counts += f", {_plural(len(config.models), 'model')}"
    dashboard = f"http://{facts.dashboard}" if facts.dashboard else "off"
    lines = [
        "",
        f"  MultiProxy {__version__}",
        "",
        f"  API        {api_url(facts)}",
        f"  Dashboard  {dashboard}",
        f"  Config     {printable(facts.config_path)} · {counts}",
        "",
    ]
    if is_open_to_others(facts):
        warning = f"anyone who can reach {facts.api} can use it: there are no keys"
        lines += [f"  \x1b[33m{warning}\x1b[0m", ""]
    return "\n".join(lines) + "\n"


def log_start(log: Log, facts: Facts) -> None:
    """The same in one line, for a log that no person watches."""
    dashboard = f"http://{facts.dashboard}" if facts.dashboard else "off"
    backends = _plural(len(facts.config.backends), "backend")
    log.info(
        f"MultiProxy {__version__} serves {api_url(facts)}, dashboard {dashboard}, "
        f"config {facts.config_path}: {backends}"
    )
    if is_open_to_others(facts):
        log.warning(f"anyone who can reach {facts.api} can use it: there are no keys")


def api_url(facts: Facts) -> str:
    """Where clients find the API, from this machine."""
    return f"{'https' if facts.config.tls else 'http'}://{reachable(facts.api)}/v1"


def reachable(address: Address) -> Address:
    """An address to try from this machine: that of every interface is none."""
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return Address(loopback.get(address.host, address.host), address.port)


def is_open_to_others(facts: Facts) -> bool:
    """Whether people at other machines may use the API without a key."""
    return not facts.api.is_loopback and not facts.config.keys


def backend_line(probe: Probe, width: int, turn: int, elapsed_s: float) -> str:
    """One backend, ``width`` columns for its id."""
    state = probe.standing.state
    if state in (BackendState.UP, BackendState.SLEEPING):
        text = probe.summary() + (" (sleeping)" if state is BackendState.SLEEPING else "")
    elif state is BackendState.STOPPED:
        text = "its command is run when a request waits for it"
    elif state is BackendState.DOWN:
        text = printable(probe.standing.reason)
    else:
        word = "loading" if state is BackendState.LOADING else "waiting for its answer"
        text = f"{word}, {span(elapsed_s)}"
    mark = _MARKS.get(state, _SPINNER[turn % len(_SPINNER)])
    return f"  {mark} {probe.row.id:<{width}}  {text}"


class Screen:
    """Drawn by ``tick`` while it is not ``is_done``; mutes the log meanwhile."""

    def __init__(self, log: Log, facts: Facts, started_at: float) -> None:
        self.is_done = False
        self._log = log
        self._started_at = started_at
        self._drawn = ""
        self._turn = 0
        log.is_muted = True
        log.plain(head(facts))

    def tick(
        self, probes: Sequence[Probe], is_serving: bool, is_disturbed: bool, now: float
    ) -> None:
        """``is_disturbed``: something else was or will be written to the terminal."""
        if self.is_done:
            return
        self._turn += 1
        is_settled = is_serving and all(probe.standing.state in _SETTLED for probe in probes)
        is_over = now - self._started_at >= SETTLE_S
        self.is_done = is_settled or is_over or is_disturbed
        self._draw(self._text(probes, now))
        if self.is_done:
            self._log.is_muted = False

    def close(self) -> None:
        """Leave the terminal to the log; what was drawn stays."""
        self.is_done = True
        self._log.is_muted = False

    def _text(self, probes: Sequence[Probe], now: float) -> str:
        width = max((len(probe.row.id) for probe in probes), default=0)
        elapsed = now - self._started_at
        lines = [backend_line(probe, width, self._turn, elapsed) for probe in probes]
        ready = sum(probe.standing.state in _READY for probe in probes)
        if self.is_done:
            total = _plural(len(probes), "backend")
            lines += ["", f"  Ready: {ready} of {total}. Ctrl+C to stop.", ""]
        return "\n".join(lines) + "\n"

    def _draw(self, text: str) -> None:
        if text != self._drawn:
            up = self._drawn.count("\n")
            self._log.plain((f"\x1b[{up}F\x1b[J" if up else "") + text)
            self._drawn = text


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
