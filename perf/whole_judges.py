"""What right answers look like that come whole: a small embedding, a chat that is not streamed."""

import json
import re
from abc import abstractmethod

import answers
from judge import Judge, Outcome, TextJudge
from plan import Plan

_WORD = re.compile(r" [^ ]+")


class WholeJudge(Judge):
    """Checks an answer once all of its body is there."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._body = b""

    def feed(self, body: bytes, now_us: int) -> list[int]:
        self._body += body
        return []

    def finish(self, whole: bool) -> Outcome:
        if not whole:
            self._fail("connection lost")
            return Outcome.RESET
        self._check()
        return Outcome.WRONG if self.why else Outcome.OK

    @abstractmethod
    def _check(self) -> None:
        """Fail if ``_body`` is not the answer."""


class SmallJudge(WholeJudge):
    """An embedding: the backend's bytes, or, from who writes its own JSON, what they said."""

    def _check(self) -> None:
        if self._body != answers.small_body(self.plan) and not self._says_the_same():
            self._fail(f"not the answer to {self.plan.request}")

    def _says_the_same(self) -> bool:
        return False


class RewrittenJudge(SmallJudge):
    """An embedding whose JSON may have been written anew."""

    def _says_the_same(self) -> bool:
        try:
            said = json.loads(self._body)
        except ValueError:
            return False
        expected = json.loads(answers.small_body(self.plan))
        return isinstance(said, dict) and said.get("data") == expected["data"]


class WholeChatJudge(WholeJudge, TextJudge):
    """A chat that is not streamed: all its tokens in one text."""

    def _check(self) -> None:
        try:
            [choice] = json.loads(self._body)["choices"]
            text = choice["message"]["content"]
            if choice["finish_reason"] != "stop":
                self._fail(f"finish reason {choice['finish_reason']!r}")
            if "".join(words := _WORD.findall(text)) != text:
                self._fail(f"text {text[:60]!r}")
            for word in words:
                self._take_text(word, 0, [])
        except (ValueError, LookupError, TypeError):
            self._fail(f"not a chat's answer: {self._body[:80]!r}")
        if self.seen != self.plan.events or not self._sealed:
            self._fail(f"a whole answer with {self.seen} of {self.plan.events} events")
