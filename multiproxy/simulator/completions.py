"""The bytes of text completions: OpenAI's ``/v1/completions`` and llama-server's own."""

from typing import Any

import orjson

from .answer import Form
from .generation import Generation
from .native import result, token_id
from .text import Token
from .wire import chunk, event


class CompletionForm(Form):
    """``/v1/completions``: no role event, usage always on the last event of a prompt."""

    ends_with_done = True
    shows_end = True

    def __init__(self, body: dict[str, Any], model: str, build: str, request_id: str) -> None:
        self.model = model
        self.build = build
        self.request_id = request_id
        self._several = isinstance(body.get("prompt"), list) and len(body["prompt"]) > 1
        self._begun = 0

    def _object(self, generation: Generation, text: str, finish: str | None) -> dict[str, Any]:
        choice = {
            "text": text,
            "index": generation.order.index,
            "logprobs": None,
            "finish_reason": finish,
        }
        return self._around([choice], generation)

    def _around(self, choices: list[dict[str, Any]], generation: Generation) -> dict[str, Any]:
        return {
            "choices": choices,
            "created": generation.engine.clock.wall,
            "model": self.model,
            "system_fingerprint": self.build,
            "object": "text_completion",
        }

    def beginning(self, generation: Generation) -> bytes:
        """See ``Form``. With several prompts llama-server leaks a marker for each further one."""
        self._begun += 1
        return b"data: null\n\n" if self._several and self._begun > 1 else b""

    def spoken(self, generation: Generation, token: Token) -> bytes:  # per event
        """See ``Form``."""
        return chunk(event(self._object(generation, token.text, None) | {"id": self.request_id}))

    def final(self, generation: Generation) -> bytes:
        """See ``Form``."""
        ending = self._object(generation, "", generation.finish_reason)
        ending |= {"usage": generation.usage(), "id": self.request_id}
        ending["timings"] = generation.timings()
        return event(ending)

    def whole(self, generations: list[Generation]) -> bytes:
        """See ``Form``."""
        first = generations[0]
        choices = [
            self._object(each, each.text, each.finish_reason)["choices"][0] for each in generations
        ]
        answer = self._around(choices, first)
        answer |= {"usage": first.usage(), "id": self.request_id, "timings": first.timings()}
        return orjson.dumps(answer)


class NativeForm(Form):
    """``/completion``: flat events, the last one holds everything, and no [DONE]."""

    ends_with_done = False
    shows_end = True

    def __init__(self, model: str) -> None:
        self.model = model

    def spoken(self, generation: Generation, token: Token) -> bytes:  # per event
        """See ``Form``."""
        piece = {
            "index": generation.order.index,
            "content": token.text,
            "tokens": [token_id(token.text)],
            "stop": False,
            "id_slot": -1,
            "tokens_predicted": generation.decoded,
            "tokens_evaluated": generation.order.prompt_tokens,
        }
        return chunk(event(piece))

    def final(self, generation: Generation) -> bytes:
        """See ``Form``."""
        return event(result(generation, self.model))

    def whole(self, generations: list[Generation]) -> bytes:
        """See ``Form``."""
        results = [result(each, self.model) for each in generations]
        return orjson.dumps(results if len(results) > 1 else results[0])
