"""What is asked of the running system: who answers it, and what a filter takes."""

import pytest
from dashboard_scene import NOW, busy, finished

from multiproxy.supervisor.dashboard.contract import Provider, Wanted
from multiproxy.supervisor.dashboard.views import Outcome


def test_a_scene_is_a_provider():
    provider: Provider = busy()
    assert len(provider.finished(3, 60)) == 3
    assert {view.name for view in provider.models()} >= {x.model for x in provider.running()}


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Wanted(), True),
        (Wanted(q="OPEN-web"), True),
        (Wanted(q="nobody"), False),
        (Wanted(model="m", backend="gpu-a", key="open-webui"), True),
        (Wanted(model="m", backend="gpu-b"), False),
        (Wanted(status="failed"), True),
        (Wanted(status="ok"), False),
        (Wanted(status="retried"), True),
        (Wanted(before=(NOW, "r_1")), False),
        (Wanted(before=(NOW, "r_3")), True),
    ],
)
def test_a_filter_takes_what_it_names(wanted, takes):
    x = finished(
        "r_2", NOW, model="m", backend="gpu-a", key="open-webui",
        outcome=Outcome.TIMEOUT, attempts=2,
    )  # fmt: skip
    assert wanted.takes(x) is takes
