import pytest

from multiproxy.scoreboard import BackendState
from multiproxy.supervisor.probe_http import Answer, ProbeFailed
from multiproxy.supervisor.verdict import MISSES, Sight, Standing, interval_s, judge

OK = Answer(200, b"llama.cpp", b'{"status":"ok"}')
PROPS = Answer(200, b"llama.cpp", b'{"is_sleeping":false,"total_slots":4}')
MODELS = Answer(200, b"llama.cpp", b'{"data":[]}')
NOT_FOUND = Answer(404, b"", b"{}")
SILENT = ProbeFailed("no answer to GET /health within 5 s")
REFUSED = ProbeFailed("connection refused to 10.0.0.1:8080", refused=True)
UP = Standing(BackendState.UP)


def state(sight, before=UP, alive=False):
    return judge(sight, before, alive).state


def test_a_server_that_answers_everything_is_up():
    assert judge(Sight(OK, PROPS, MODELS), Standing(), False) == Standing(BackendState.UP)


def test_refused_is_down_at_once_even_with_a_fresh_sign_of_life():
    standing = judge(Sight(REFUSED), UP, alive=True)
    assert (standing.state, standing.reason) == (
        BackendState.DOWN,
        "connection refused to 10.0.0.1:8080",
    )


def test_silence_is_down_only_after_three_probes():
    standing = UP
    states = []
    for _ in range(MISSES):
        standing = judge(Sight(SILENT), standing, alive=False)
        states.append(standing.state)
    assert states == [BackendState.UP, BackendState.UP, BackendState.DOWN]
    assert standing.reason == SILENT.reason


def test_silence_of_a_server_that_streams_is_never_down():
    standing = UP
    for _ in range(10):
        standing = judge(Sight(SILENT), standing, alive=True)
    assert standing.state is BackendState.UP
    assert judge(Sight(SILENT), standing, alive=False).state is BackendState.DOWN


def test_an_answer_forgets_the_misses():
    standing = judge(Sight(SILENT), UP, alive=False)
    assert standing.misses == 1
    assert judge(Sight(OK, PROPS, MODELS), standing, alive=False).misses == 0


def test_a_server_that_was_never_seen_is_down_after_one_miss():
    assert state(Sight(SILENT), before=Standing()) is BackendState.DOWN


def test_503_with_loading_model_is_loading_and_other_503_is_a_miss():
    loading = Answer(503, b"llama.cpp", b'{"error":{"message":"Loading model","code":503}}')
    assert state(Sight(loading), before=Standing()) is BackendState.LOADING
    busy = judge(Sight(Answer(503, b"nginx", b"")), UP, alive=False)
    assert (busy.state, busy.misses) == (BackendState.UP, 1)
    assert judge(Sight(Answer(503, b"nginx", b"")), Standing(), False).reason == (
        "GET /health answered 503"
    )


def test_is_sleeping_is_sleeping():
    asleep = Answer(200, b"llama.cpp", b'{"is_sleeping":true}')
    assert state(Sight(OK, asleep, MODELS)) is BackendState.SLEEPING


@pytest.mark.parametrize("props", [NOT_FOUND, SILENT, Answer(200, b"", b"not json")])
def test_a_server_without_usable_props_is_up(props):
    assert state(Sight(OK, props, MODELS)) is BackendState.UP


def test_a_server_without_health_is_judged_by_its_models():
    assert state(Sight(NOT_FOUND, NOT_FOUND, MODELS), Standing()) is BackendState.UP
    assert state(Sight(NOT_FOUND, NOT_FOUND, NOT_FOUND), Standing()) is BackendState.DOWN


def test_a_llama_server_that_refuses_the_key_is_down_though_its_health_is_open():
    denied = Answer(401, b"llama.cpp", b"{}")
    standing = judge(Sight(OK, denied, MODELS), Standing(), False)
    assert standing.state is BackendState.DOWN
    assert standing.reason == "it refuses our api_key (status 401)"


def test_another_servers_locked_props_mean_nothing():
    ok = Answer(200, b"uvicorn", b"{}")
    denied = Answer(401, b"uvicorn", b"{}")
    assert state(Sight(ok, denied, ok)) is BackendState.UP
    assert state(Sight(ok, NOT_FOUND, denied)) is BackendState.DOWN


def test_probes_come_less_often_the_longer_a_backend_is_down():
    assert interval_s(Standing(BackendState.UP)) == 5.0
    assert interval_s(Standing(BackendState.LOADING)) == 2.0
    misses = (1, 3, 4, 5, 6, 7, 1_000_000)
    intervals = [interval_s(Standing(BackendState.DOWN, "", number)) for number in misses]
    assert intervals == [2.0, 2.0, 3.0, 4.5, 6.75, 10.0, 10.0]
