"""The pages and the fragments they are made of, and how they become HTML.

A fragment is the content of the element with its name as id: part of the first answer, a twin
at /fragments/NAME, and what the live feed sends. All three come from the same template.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jinja2 import Environment

from multiproxy.supervisor.dashboard import overview
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import Provider


@dataclass(frozen=True, slots=True)
class Fragment:
    name: str  # element id, template fragments/NAME.html
    data: Callable[[Snapshot], Mapping[str, object]]
    fast: bool = False  # rendered on every tick, not only on full rounds


@dataclass(frozen=True, slots=True)
class Page:
    name: str  # template NAME.html, stream /live/NAME
    path: str
    title: str
    icon: str
    fragments: tuple[Fragment, ...]
    query: tuple[str, ...] = ()  # the query fields that change what is shown


PAGES = (
    Page(
        "overview",
        "/",
        "Overview",
        "overview",
        (
            Fragment("side", overview.side),
            Fragment("head", overview.head),
            Fragment("banner", overview.banner),
            Fragment("kpis", overview.kpis),
            Fragment("throughput", overview.throughput),
            Fragment("first-token", overview.first_token),
            Fragment("backends", overview.backends),
            Fragment("activity-head", overview.activity_head),
            Fragment("running", overview.running, fast=True),
            Fragment("finished", overview.finished, fast=True),
        ),
    ),
)

BY_NAME = {page.name: page for page in PAGES}


class Moment:
    """The system at one moment, as HTML. Everything asked of it shows the same state."""

    def __init__(self, env: Environment, frame: Mapping[str, object], snapshot: Snapshot) -> None:
        """``frame`` are the variables of every page that never change."""
        self._env = env
        self._frame = frame
        self._snapshot = snapshot

    def page(self, look: Look, theme: str) -> str:
        page = BY_NAME[look.page]
        return self._env.get_template(f"{page.name}.html").render(
            self._frame,
            page=page,
            pages=PAGES,
            theme=theme,
            html=self.fragments(look, False),
        )

    def fragments(self, look: Look, fast_only: bool) -> dict[str, str]:
        return {
            fragment.name: self.fragment(fragment, look)
            for fragment in BY_NAME[look.page].fragments
            if fragment.fast or not fast_only
        }

    def fragment(self, fragment: Fragment, look: Look) -> str:
        template = self._env.get_template(f"fragments/{fragment.name}.html")
        return template.render(fragment.data(self._snapshot), zone=look.zone)


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

    def moment(self) -> Moment:
        return Moment(self._env, self._frame, Snapshot(self._provider, self._now()))

    def error(self, status: int, title: str, text: str, theme: str) -> str:
        return self._env.get_template("error.html").render(
            self._frame, status=status, title=title, text=text, theme=theme
        )
