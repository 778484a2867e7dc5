"""The pages and the fragments they are made of, and how they become HTML.

A fragment is the content of the element with its name as id: part of the first answer, a twin
at /fragments/NAME, and what the live feed sends. All three come from the same template.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment

from multiproxy.supervisor.dashboard import (
    backend,
    fleet,
    models,
    overview,
    playground,
    request,
    requests,
    setup,
    usage,
    windows,
)
from multiproxy.supervisor.dashboard.contract import Provider
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.shelf import Shelf
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import FinishedView


@dataclass(frozen=True, slots=True)
class Fragment:
    name: str  # element id, template fragments/NAME.html
    data: Callable[[Snapshot, Look], Mapping[str, object]]
    fast: bool = False  # rendered on every tick, not only on full rounds
    once: bool = False  # not in the stream: what the reader fills in or opens must stay so


Load = Callable[[Provider, Snapshot, Look], Awaitable[Sequence[FinishedView]]]


@dataclass(frozen=True, slots=True)
class Page:
    """``path`` may end in ``{id}``, which then is the query field ``id`` of every look at it."""

    name: str  # template NAME.html, stream /live/NAME
    path: str
    title: str
    icon: str
    fragments: tuple[Fragment, ...]
    query: tuple[str, ...] = ()  # the query fields that change what is shown
    parent: str = ""  # the page whose link is marked; such a page has no link of its own
    exists: Callable[[Snapshot, Look], bool] = lambda snapshot, look: True
    load: Load | None = None  # what it needs from the history

    @property
    def live(self) -> tuple[Fragment, ...]:
        return tuple(fragment for fragment in self.fragments if not fragment.once)


def _same(
    data: Callable[[Snapshot], Mapping[str, object]],
) -> Callable[[Snapshot, Look], Mapping[str, object]]:
    """For what does not depend on who looks."""
    return lambda snapshot, look: data(snapshot)


def _nav(snapshot: Snapshot, look: Look) -> Mapping[str, object]:
    page = BY_NAME[look.page]
    return {
        "pages": [page for page in PAGES if not page.parent],
        "current": page.parent or page.name,
        "counts": overview.nav_counts(snapshot),
        "window": windows.kept(look),
    }


FRAME = (
    Fragment("nav", _nav),
    Fragment("side", _same(overview.side)),
    Fragment("banner", _same(overview.banner)),
)

# A link per window; they never change under the reader.
WINDOW_SWITCH = Fragment("window-switch", windows.switch, once=True)

# Of the backend or the model that a page is about.
NEWEST_REQUESTS = (
    Fragment("requests-running", requests.running, fast=True),
    Fragment("requests-finished", requests.newest),
)

PAGES = (
    Page(
        "overview",
        "/",
        "Overview",
        "overview",
        (
            *FRAME,
            Fragment("head", _same(overview.head)),
            Fragment("kpis", overview.kpis),
            Fragment("throughput", overview.throughput),
            Fragment("first-token", overview.first_token),
            Fragment("backends", overview.backends),
            Fragment("activity-head", _same(overview.activity_head)),
            Fragment("running", _same(overview.running), fast=True),
            Fragment("finished", _same(overview.finished), fast=True),
            WINDOW_SWITCH,
        ),
        query=(windows.FIELD,),
    ),
    Page(
        "requests",
        "/requests",
        "Requests",
        "requests",
        (
            *FRAME,
            Fragment("requests-filters", requests.filters, once=True),
            Fragment("requests-running", requests.running, fast=True),
            Fragment("requests-finished", requests.finished),
            Fragment("requests-paging", requests.paging),
        ),
        query=requests.FIELDS,
        load=requests.load,
    ),
    Page(
        "request",
        "/requests/{id}",
        "Request",
        "requests",
        (
            *FRAME,
            Fragment("request-head", request.detail, fast=True),
            Fragment("request-detail", request.detail, fast=True),
        ),
        query=("id",),
        parent="requests",
        exists=request.exists,
        load=request.load,
    ),
    Page(
        "backends",
        "/backends",
        "Backends",
        "backends",
        (
            *FRAME,
            Fragment("fleet-head", fleet.head),
            Fragment("fleet", fleet.rows),
            WINDOW_SWITCH,
        ),
        query=(windows.FIELD,),
    ),
    Page(
        "backend",
        "/backends/{id}",
        "Backend",
        "backends",
        (
            *FRAME,
            Fragment("backend-head", backend.head),
            Fragment("backend-now", backend.now),
            Fragment("throughput", backend.throughput),
            Fragment("backend-states", backend.states),
            *NEWEST_REQUESTS,
            WINDOW_SWITCH,
        ),
        query=("id", windows.FIELD),
        parent="backends",
        exists=backend.exists,
        load=requests.load,
    ),
    Page(
        "models",
        "/models",
        "Models",
        "models",
        (
            *FRAME,
            Fragment("models-head", _same(models.head)),
            Fragment("models", models.rows),
            Fragment("models-asked", models.asked),
            WINDOW_SWITCH,
        ),
        query=(windows.FIELD,),
    ),
    Page(
        "usage",
        "/usage",
        "Usage",
        "usage",
        (
            *FRAME,
            Fragment("usage-switches", usage.switches, once=True),
            Fragment("usage-totals", usage.totals),
            Fragment("usage-chart", usage.chart),
            Fragment("usage-table", usage.table),
        ),
        query=usage.FIELDS,
    ),
    Page(
        "config",
        "/config",
        "Config",
        "config",
        (
            *FRAME,
            Fragment("config-head", _same(setup.head)),
            Fragment("config-state", _same(setup.state)),
            Fragment("config-clients", _same(setup.clients), once=True),
            Fragment("config-text", _same(setup.state)),
        ),
    ),
    Page(
        "playground",
        "/try",
        "Playground",
        "play",
        (*FRAME, Fragment("try-form", _same(playground.form), once=True)),
    ),
)
BY_NAME = {page.name: page for page in PAGES}


class Moment:
    """The system at one moment, as HTML. Everything asked of it shows the same state."""

    def __init__(self, env: Environment, frame: Mapping[str, object], snapshot: Snapshot) -> None:
        """``frame`` are the variables of every page that never change."""
        self._env = env
        self._frame = frame
        self.snapshot = snapshot

    def has(self, look: Look) -> bool:
        """Whether there is something to show at all."""
        return BY_NAME[look.page].exists(self.snapshot, look)

    def page(self, look: Look, theme: str, extra: Mapping[str, object] | None = None) -> str:
        page = BY_NAME[look.page]
        return self._env.get_template(f"{page.name}.html").render(
            self._frame,
            page=page,
            look=look,
            query=dict(look.query),
            theme=theme,
            html={f.name: self.fragment(f, look, extra) for f in page.fragments},
            **(extra or {}),
        )

    def fragments(self, look: Look, fast_only: bool) -> dict[str, str]:
        """Those of the stream."""
        return {
            fragment.name: self.fragment(fragment, look)
            for fragment in BY_NAME[look.page].live
            if fragment.fast or not fast_only
        }

    def fragment(
        self, fragment: Fragment, look: Look, extra: Mapping[str, object] | None = None
    ) -> str:
        template = self._env.get_template(f"fragments/{fragment.name}.html")
        data = {**fragment.data(self.snapshot, look), **(extra or {})}
        return template.render(data, zone=look.zone, token=self._frame.get("token", ""))


class Renderer:
    """Makes moments. ``now`` is Unix time."""

    def __init__(
        self,
        env: Environment,
        provider: Provider,
        frame: Mapping[str, object],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._env = env
        self._provider = provider
        self._frame = frame
        self._now = now
        self.shelf = Shelf(self._fetch)

    def moment(self) -> Moment:
        snapshot = Snapshot(self._provider, self._now(), self.shelf.of)
        return Moment(self._env, self._frame, snapshot)

    async def prepared(self, look: Look) -> Moment:
        """A moment for which the history was asked what this look needs."""
        moment = self.moment()
        if (load := BY_NAME[look.page].load) is not None:
            self.shelf.put(look, await load(self._provider, moment.snapshot, look))
        return moment

    async def _fetch(self, look: Look) -> Sequence[FinishedView]:
        load = BY_NAME[look.page].load
        return await load(self._provider, self.moment().snapshot, look) if load else ()

    def login(self, has_password: bool, problem: str, theme: str) -> str:
        return self._env.get_template("login.html").render(
            self._frame, has_password=has_password, problem=problem, theme=theme
        )

    def error(self, status: int, title: str, text: str, theme: str) -> str:
        return self._env.get_template("error.html").render(
            self._frame, status=status, title=title, text=text, theme=theme
        )
