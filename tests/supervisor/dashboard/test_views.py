"""The contract's own small rules."""

from dashboard_scene import NOW, finished

from multiproxy.supervisor.dashboard.views import Outcome, Phase


def test_leaving_and_rejected_are_not_failures():
    assert [outcome for outcome in Outcome if not outcome.is_failure] == [
        Outcome.OK,
        Outcome.CLIENT_LEFT,
        Outcome.REJECTED,
    ]


def test_an_exchange_ends_when_its_time_is_over():
    assert finished(ended_at=NOW, total_s=3.0).ended_at == NOW


def test_phases_are_in_the_order_of_time():
    assert list(Phase) == ["receiving", "queued", "connecting", "prefill", "decoding"]
