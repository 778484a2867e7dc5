"""Templates with nothing, with everything, and with markup in every field."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from dashboard_scene import NOW, Scene, backend, busy, finished, hostile, running

from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.pages import PAGES, Renderer
from multiproxy.supervisor.dashboard.static import find_web
from multiproxy.supervisor.dashboard.templates import environment
from multiproxy.supervisor.dashboard.views import (
    BackendState,
    EventView,
    HealthView,
    Outcome,
    Phase,
)

FRAME = {
    "static": lambda name: f"/static/{name}",
    "bundle": "htmx.js",
    "version": "0.1.0",
    "boot": "b",
    "assets": "a",
    "token": "t",
}
# Markup that was ever dangerous somewhere, and characters that turn a terminal or a line around.
PAYLOADS = [*Path(__file__).with_name("markup.txt").read_text().splitlines(), "\u202e\x00\x1b[31m"]
SOME = 12  # every so many of them in the short form
VOID = {"meta", "link", "input", "br", "img"}


class Structure(HTMLParser):
    """Elements, ids and attributes of a page; fails on tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src", "action")]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def look_at(page: str, scene: Scene) -> Look:
    subjects = {
        "request": [*scene.running_list, *scene.finished_list],
        "backend": scene.backend_list,
    }
    known = [each.id for each in subjects.get(page, ())]
    return Look(page, (("id", next(iter(known), "none")),) if page in subjects else ())


def render(scene: Scene, page: str = "overview", theme: str = "") -> str:
    renderer = Renderer(environment(find_web() / "templates"), scene, FRAME, scene.clock)
    return renderer.moment().page(look_at(page, scene), theme)


def structure(html: str) -> Structure:
    parser = Structure()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def every_state() -> Scene:
    """A row of every kind, with and without the numbers that may be unknown."""
    scene = Scene()
    scene.backend_list = [backend(state, state=state) for state in BackendState]
    scene.backend_list += [
        backend(f"bare-{state}", address="h:1", state=state, models=(), slots_total=None,
                context_size=None, last_check_at=None, last_check_s=None, since=None, detail="")
        for state in BackendState
    ]  # fmt: skip
    scene.backend_list.append(backend("many", slots_total=64, models=("a", "b", "c")))
    scene.running_list = [running(f"r{i}", phase=phase) for i, phase in enumerate(Phase)]
    scene.finished_list = [finished(f"f{i}", outcome=kind) for i, kind in enumerate(Outcome)]
    scene.state = HealthView(10.0, 1, 2, "c.yaml", "", False, None, "line 1: no", ("Disk full.",))
    return scene


SCENES = {"empty": Scene, "busy": busy, "every state": every_state}


@pytest.mark.parametrize("page", [page.name for page in PAGES])
@pytest.mark.parametrize("name", SCENES)
def test_every_page_is_well_formed_and_strict(name, page):
    parsed = structure(render(SCENES[name](), page))
    assert len(parsed.ids) == len(set(parsed.ids))
    assert "style" not in parsed.attributes
    assert "style" not in parsed.tags
    assert not [name for name in parsed.attributes if name.startswith("on")]
    assert not [name for name in parsed.attributes if name.startswith("hx-on")]


def test_scripts_are_files_of_ours_and_nothing_is_inline():
    html = render(busy())
    assert re.findall(r"<script[^>]*>", html) == [
        '<script defer src="/static/htmx.js">',
        '<script defer src="/static/app.js">',
    ]
    assert re.findall(r"<script[^>]*>([^<]+)", html) == []
    assert "http://" not in html.replace("http://127.0.0.1:8001", "")


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_markup_from_outside_is_text_everywhere(page, full):
    plain = structure(render(full_of("harmless"), page))
    for payload in PAYLOADS if full else [*PAYLOADS[:4], *PAYLOADS[4::SOME], PAYLOADS[-1]]:
        html = render(full_of(payload), page)
        parsed = structure(html)
        assert parsed.tags.count("script") == html.count("<script defer src="), payload
        assert set(parsed.tags) <= set(plain.tags), payload
        assert not [name for name in parsed.attributes if name.startswith("on")], payload
        assert {name for name in parsed.attributes if name.startswith("hx-")} <= plain.attributes
        assert not [link for link in parsed.links if not link.startswith(("/", "#", "?"))], payload
        assert ">49<" not in html, payload


def full_of(payload):
    """Everything that comes from outside is this text."""
    plain = every_state()
    scene = every_state()
    scene.backend_list = [hostile(view, payload) for view in plain.backend_list]
    scene.running_list = [hostile(view, payload) for view in plain.running_list]
    scene.finished_list = [hostile(view, payload) for view in plain.finished_list]
    scene.state = hostile(plain.state, payload)
    scene.event_list = [EventView(1, scene.now - 60, "warn", payload, payload)]
    return scene


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_live_fragment_is_inside_the_element_with_its_name(page):
    html = render(busy(), page.name)
    for fragment in page.fragments:
        assert html.count(f'id="{fragment.name}"') == (0 if fragment.once else 1)


def test_a_busy_page_shows_the_numbers():
    html = render(busy())
    for text in ("3 of 5 backends serving", "7 requests in flight", "31,870", "Queued, 2nd",
                 "gpu-c is not answering.", "for 34 s", "Prefill 62 %",
                 "200, retried"):  # fmt: skip
        assert text in html


def test_mirrored_requests_and_parts_of_splits_are_marked_on_their_pages():
    scene = busy()
    scene.running_list = [running("r_copy", copy_of="r_one")]
    scene.finished_list = [
        finished("r_done", model="n", copy_of="r_one"),
        finished("r_part", model="m", split="assistant"),
    ]
    assert render(scene).count(">mirror</span>") == 2
    found = render(scene, "models")
    structure(found)
    assert "Splits and mirrors" in found and "assistant" in found
    assert "Splits and mirrors" not in render(busy(), "models")


def test_an_empty_page_says_what_to_do():
    html = render(Scene())
    assert "No backends yet" in html
    assert "Waiting for the first request" in html
    assert "NaN" not in html and "None" not in html


def test_the_suggested_request_survives_a_hostile_model_name():
    scene = Scene(backend_list=[backend(models=("a'; rm -rf / #</code>",))])
    html = render(scene)
    assert r"\u0027; rm -rf / #\u003c/code\u003e" in html


@pytest.mark.parametrize("theme", ["", "light", "dark"])
def test_the_theme_is_known_before_the_first_paint(theme):
    attribute = f' data-theme="{theme}"' if theme else ""
    assert f'<html lang="en"{attribute}>' in render(Scene(), theme=theme)


def test_without_javascript_the_page_reloads_itself():
    html = render(Scene())
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in html


def test_a_moment_is_one_state_for_all_its_fragments():
    scene = busy()
    renderer = Renderer(environment(find_web() / "templates"), scene, FRAME, scene.clock)
    moment = renderer.moment()
    first = moment.fragments(Look("overview"), False)
    scene.running_list, scene.now = [], NOW + 5
    assert moment.fragments(Look("overview"), False) == first
    assert renderer.moment().fragments(Look("overview"), False) != first


def test_only_fast_fragments_are_rendered_between_rounds():
    renderer = Renderer(environment(find_web() / "templates"), busy(), FRAME, lambda: NOW)
    assert set(renderer.moment().fragments(Look("overview"), True)) == {"running", "finished"}


def test_the_whole_page_is_small():
    assert len(render(busy())) < 80_000


def test_the_config_page_tells_how_late_a_loop_was_when_that_can_be_felt():
    scene = busy()
    assert "late by 2 ms at most" in render(scene, "config")
    scene.state = HealthView(1.0, 1, 1, lag_s=0.0004)
    assert "late by" not in render(scene, "config")
