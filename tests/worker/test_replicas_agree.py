"""Two replicas share nothing but the configuration, and send a conversation to the same backend."""

from random import Random

import orjson
import pytest
from worker.workplace import row

from multiproxy._http.head import RequestHead
from multiproxy.dialects.events import Usage
from multiproxy.dialects.request import understand
from multiproxy.routing.table import Route
from multiproxy.scoreboard import Scoreboard
from multiproxy.worker.endpoints import Endpoint, Kind, Speech
from multiproxy.worker.placer import Placer

CHAT = Endpoint("chat", Kind.GENERATE, b"/v1/chat/completions", Speech.CHAT)
HEAD = RequestHead(b"POST", CHAT.path, b"1.1", (), keep_alive=True)
BACKENDS, CONVERSATIONS = 6, 1000
ROUTE = Route("demo", tuple(range(BACKENDS)))
LONG = "tell me all about it " * 200


class Replica:
    """A placer of its own; ``order`` are the backends' names as its configuration lists them."""

    def __init__(self, order: list[str]) -> None:
        board = Scoreboard.create()
        for index in range(BACKENDS):
            board.backends.write(index, row(slots=4))
        self._names = dict(enumerate(order))
        self._placer = Placer(
            board, 0, dict.fromkeys(self._names, 1),
            queue_limit=9, queue_s=60, names=self._names,
        )  # fmt: skip
        self._placer.slots = dict.fromkeys(self._names, 4)

    async def ask(self, body: dict[str, object]) -> str:
        """The name of the backend that answered."""
        request = understand(orjson.dumps(body))
        wish = self._placer.wishes.of(CHAT, HEAD, request, ROUTE)
        lease = await self._placer.place(ROUTE, (), wish)
        lease.answered(Usage(wish.tokens, int(max(wish.cached.values(), default=0)), 10))
        lease.release()
        return self._names[lease.backend]


def conversation(number: int, system: str) -> dict[str, object]:
    return {
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": f"{number} {LONG}"},
        ]
    }


@pytest.mark.parametrize(
    "system", ["", "You are an agent. " + LONG], ids=["heads of their own", "one head"]
)
async def test_two_replicas_send_99_of_100_conversations_to_the_same_backend(system):
    names = [f"gpu-{number}" for number in range(BACKENDS)]
    first, second = Replica(names), Replica(names[::-1])
    numbers = list(range(CONVERSATIONS))
    homes = {number: await first.ask(conversation(number, system)) for number in numbers}
    Random(7).shuffle(numbers)
    same = sum([await second.ask(conversation(n, system)) == homes[n] for n in numbers])
    assert same >= 0.99 * CONVERSATIONS
