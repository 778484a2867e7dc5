"""The states of backends over time, as far as this run saw them."""

from dashboard_scene import backend

from multiproxy.supervisor.dashboard.views import BackendState, ChangeView
from multiproxy.supervisor.state_history import FORGOTTEN_S, MOST_CHANGES, StateHistory

UP, DOWN = BackendState.UP, BackendState.DOWN


def test_a_change_is_kept_with_its_reason_and_sameness_is_not():
    history = StateHistory()
    for now, state, reason in ((1, UP, ""), (2, UP, ""), (3, DOWN, "refused"), (4, DOWN, "late")):
        history.note([backend("a", state=state, reason=reason)], now)
    assert history.of("a") == [ChangeView(1, UP), ChangeView(3, DOWN, "refused")]
    assert history.of("b") == []


def test_one_that_leaves_does_not_speak_for_the_one_that_took_its_name():
    history = StateHistory()
    leaving = backend("a", state=BackendState.DRAINING, leaves=True)
    history.note([backend("a"), leaving], 1)
    history.note([leaving], 2)
    assert history.of("a") == [ChangeView(1, UP)]


def test_it_is_bounded():
    history = StateHistory()
    for now in range(2 * MOST_CHANGES):
        history.note([backend("a", state=(UP, DOWN)[now % 2])], now)
    assert len(history.of("a")) == MOST_CHANGES
    history.note([backend("b")], 2 * MOST_CHANGES + FORGOTTEN_S)
    assert history.of("a") == [] and len(history.of("b")) == 1
