"""No translator raises anything, whatever a backend sends: each stream succeeds or fails."""

import os
from random import Random

import orjson
import recordings
from dialects import messages_run, responses_run
from dialects.mutations import EVERYTHING, mutated

from multiproxy.dialects.chat_fold import ChatFold
from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.errors import BackendError

# Many more before a release: MULTIPROXY_MUTATIONS=1000000, of which this run begins at another
# place with MULTIPROXY_SEED.
COUNT = int(os.environ.get("MULTIPROXY_MUTATIONS", "2000"))
SEED = int(os.environ.get("MULTIPROXY_SEED", "3"))

TOOLS = [
    {"type": "function", "name": "f"},
    {"type": "custom", "name": "patch"},
    {"type": "shell"},
]
RESPONSES_TURN = responses_run.turn(tools=TOOLS, reasoning={"summary": "auto"})
MESSAGES_TURN = MessagesTurn("demo", shows_thinking=True, stop_sequences=("x",))
TRANSLATORS = {
    "messages": lambda: messages_run.emitter(MESSAGES_TURN),
    "messages, folded": lambda: messages_run.fold(MESSAGES_TURN),
    "responses": lambda: responses_run.emitter(RESPONSES_TURN),
    "responses, folded": lambda: responses_run.fold(RESPONSES_TURN),
    "chat, folded": lambda: ChatFold("req_1"),
    "chat": lambda: Passthrough("req_1", needs_role=True, strips_progress=True),
}
SOURCES = [
    *[EVERYTHING] * 4,  # the most in the fewest bytes
    recordings.body("chat.stream.include_usage"),
    recordings.body("chat.stream.think.tools-required"),
    recordings.body("chat.stream.n2.include_usage"),
]


def test_a_mutated_stream_ends_in_success_or_failure_and_raises_nothing() -> None:
    random = Random(SEED)
    for _ in range(COUNT):
        stream = mutated(random.choice(SOURCES), random)
        middle = random.randrange(len(stream) + 1)
        for name, make in TRANSLATORS.items():
            translator = make()
            translator.open()
            translator.feed(stream[:middle])
            translator.keep_alive()
            translator.feed(stream[middle:])
            if not translator.finished and translator.failure is None:
                body = translator.eof()
                if "folded" in name and translator.finished:
                    orjson.loads(body)
            if translator.failure is None:
                assert translator.finished, (name, stream)
            else:
                assert isinstance(translator.failure, BackendError), (name, stream)
                assert translator.fail(translator.failure)
