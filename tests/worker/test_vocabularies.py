"""Tokenizers are asked once whether bytes bound their tokens; where they do not, all is counted."""

import pytest
from worker.conftest import Staff
from worker.workplace import Workplace, chat, reports, row

from multiproxy.routing.table import Route
from multiproxy.routing.window import AWKWARD
from multiproxy.scoreboard import BackendState
from multiproxy.simulator import Fault, Server, prompt

ASKED = "POST /tokenize"
COUNT = "POST /v1/chat/completions/input_tokens"


def known(workplace: Workplace, *models: str, **more: object) -> None:
    """The supervisor tells what the first backend serves."""
    workplace.board.backends.write_facts(
        0, reports(*(models or ("demo",)), kind="llama.cpp", **more)
    )
    workplace.board.backends.write(0, row()._replace(n_ctx=32768))
    workplace.worker.refresh()


def proves(workplace: Workplace) -> bool:
    return workplace.worker.vocabularies.prove(Route("demo", (0,)))


def times(server: Server) -> int:
    return server.facts.requests[ASKED]


async def test_a_byte_level_vocabulary_is_asked_once_and_believed(staff: Staff):
    workplace, (server,) = await staff()
    known(workplace)
    workplace.worker.vocabularies.look()
    await workplace.until(lambda: times(server) == len(AWKWARD))
    workplace.board.backends.write(0, row()._replace(n_ctx=16384))
    workplace.worker.vocabularies.look()
    assert (await workplace.client().ask(chat())).status == 200
    assert proves(workplace)
    assert (times(server), server.facts.requests[COUNT]) == (len(AWKWARD), 0)


@pytest.fixture
def spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary that writes one ligature as many letters, and is fine otherwise."""
    real = prompt.tokenize

    def tokenize(text: str) -> list[int]:
        return real(text) if "\ufdfa" not in text else [1] * 18 * len(text)

    monkeypatch.setattr(prompt, "tokenize", tokenize)


async def test_where_tokens_outnumber_bytes_every_prompt_is_counted(
    staff: Staff, spelled_out: None
):
    workplace, (server,) = await staff()
    known(workplace)
    workplace.worker.vocabularies.look()
    await workplace.until(lambda: not proves(workplace))
    assert (await workplace.client().ask(chat())).status == 200
    assert server.facts.requests[COUNT] == 1


async def test_another_model_is_another_vocabulary(
    staff: Staff, monkeypatch: pytest.MonkeyPatch, spelled_out: None
):
    workplace, (server,) = await staff()
    known(workplace)
    workplace.worker.vocabularies.look()
    await workplace.until(lambda: not proves(workplace))
    monkeypatch.undo()
    known(workplace, "better")
    workplace.worker.vocabularies.look()
    await workplace.until(lambda: proves(workplace))
    assert times(server) == 2 * len(AWKWARD)


async def test_who_cannot_be_asked_is_believed(staff: Staff):
    workplace, (server,) = await staff()
    server.set_faults([Fault("status", path="/tokenize", status=404)])
    known(workplace)
    workplace.worker.vocabularies.look()
    await workplace.until(lambda: times(server) == 1)
    assert (await workplace.client().ask(chat())).status == 200
    assert proves(workplace)
    assert times(server) == 1


@pytest.mark.parametrize(
    ("state", "more"),
    [(BackendState.SLEEPING, {}), (BackendState.UP, {"router": True})],
)
async def test_who_would_load_a_model_for_it_is_not_asked(
    staff: Staff, state: BackendState, more: dict[str, object]
):
    workplace, (server,) = await staff()
    known(workplace, **more)
    workplace.board.backends.write(0, row(state))
    workplace.worker.refresh()
    workplace.worker.vocabularies.look()
    assert (await workplace.client().ask(chat())).status == 200
    assert times(server) == 0
