"""Which window a page shows, and where its marks stand."""

import pytest
from dashboard_scene import Scene

from multiproxy.supervisor.dashboard import windows
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.pages import Renderer
from multiproxy.supervisor.dashboard.static import find_web
from multiproxy.supervisor.dashboard.templates import environment
from multiproxy.supervisor.dashboard.views import WINDOWS


def look(name="", page="overview"):
    return Look(page, (("w", name),) if name else ())


@pytest.mark.parametrize(("name", "shown"), [("", "5m"), ("7d", "7d"), ("9y", "5m"), ("<b>", "5m")])
def test_a_window_that_there_is_not_is_the_shortest(name, shown):
    assert windows.chosen(look(name)).name == shown


def test_every_window_has_an_axis_that_ends_now():
    for window in WINDOWS.values():
        marks = windows.axis(window)
        assert marks[-1] == "now"
        assert window.span_s % window.columns == 0
        assert window.span_s % window.step_s == 0


def test_now_is_the_mean_of_the_last_three_seconds():
    assert windows.rate_now([1000.0, 10.0, 20.0, 30.0]) == 20


def test_links_between_pages_with_windows_keep_the_window():
    scene = Scene()
    frame = {"token": "t"}
    moment = Renderer(environment(find_web() / "templates"), scene, frame, scene.clock).moment()
    nav = moment.fragments(look("24h", "backends"), False)["nav"]
    for path in ("/?w=24h", "/backends?w=24h", "/models?w=24h", "/requests", "/usage", "/config"):
        assert f'href="{path}"' in nav
    assert "?w=" not in moment.fragments(look("", "backends"), False)["nav"]
