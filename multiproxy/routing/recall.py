"""What is remembered of where prompts went: which backends spare a request how many tokens.

Each request notes its longest marks under the backend it went to; the next turn finds them.
What is found is a guess until the answer tells how much was really cached: then the guess
is made true, or forgotten.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from multiproxy.routing.affinity import Mark
from multiproxy.routing.pace import Pace

DEEPEST = 16  # marks looked up from the end: a request rarely adds more messages
LAST = 2  # marks noted from the end: clients change their last message after the fact
ANYBODY = 4095  # a count is the same wherever the model is
WORTH = 64  # tokens; fewer are read again in no time


# A prefix of so many tokens was at a backend at a time; True: the backend counted them itself.
Trace: TypeAlias = tuple[int, int, float, bool]  # (backend, tokens, seen_s, is_exact)


class Table(Protocol):
    """Where traces are kept; see ``scoreboard.memory``."""

    def find(self, key: int) -> Sequence[Trace]: ...
    def note(
        self, key: int, backend: int, tokens: int, seen_s: float, is_exact: bool = False
    ) -> None: ...
    def forget(self, key: int, backend: int) -> None: ...


class Known(NamedTuple):
    """A backend had ``tokens`` of a prompt ``age_s`` ago; ``mark`` is which of its marks."""

    tokens: int
    age_s: float
    mark: int


_new = tuple.__new__  # half the price of the class's own: a prompt has traces at many backends


@dataclass(slots=True)
class Wish:
    """What a request would like: a backend that has read its prompt already.

    ``key`` names the conversation (0: none), ``tokens`` is about how long the prompt is.
    ``cached`` is how many of them each backend is expected to have, by index, and
    ``candidates`` how many backends there are to choose from. ``window_key`` is where the
    engine's count of the prompt is to be noted (0: nowhere).
    """

    marks: Sequence[Mark] = ()
    tokens: int = 0
    known: dict[int, Known] = field(default_factory=dict)
    cached: dict[int, float] = field(default_factory=dict)
    candidates: int = 0
    window_key: int = 0

    @property
    def key(self) -> int:
        return self.marks[1 if len(self.marks) > 1 else 0].key if self.marks else 0

    @property
    def is_worth_it(self) -> bool:
        """Whether it matters where it goes."""
        return self.tokens >= WORTH and bool(self.marks)


class Recall:
    """Joins the table with the backends' paces; one per process."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._paces: dict[int, Pace] = {}
        self._typical = Pace()
        self.bytes_per_token = 4.0
        self._learned = 0

    def pace(self, backend: int) -> Pace:
        """Return what is known of a backend's speed."""
        pace = self._paces.get(backend)
        if pace is None:
            pace = self._paces[backend] = Pace(self._typical)
        return pace

    def wish(self, marks: Sequence[Mark], candidates: Collection[int], now: float) -> Wish:
        """Look up which candidates have how much of a prompt; ``now`` is monotonic seconds."""
        if not marks:
            return Wish()
        tokens = int(marks[-1].size / self.bytes_per_token) + 1
        wish = Wish(marks, tokens, candidates=len(candidates))
        if not wish.is_worth_it:
            return wish
        number = len(marks) - 1
        end = max(1, number - DEEPEST)
        while number >= end and not self._look(wish, number, candidates, now):
            number -= 1
        # Others may have its beginning: that of the same session or task, or the head.
        for early in (1, 0):
            if early < number:
                self._look(wish, early, candidates, now)
        if not number:
            self._look(wish, 0, candidates, now)
        return wish

    def _look(self, wish: Wish, number: int, candidates: Collection[int], now: float) -> bool:
        key, size = wish.marks[number]
        traces = self._table.find(key)
        if not traces:
            return False
        known, cached, paces = wish.known, wish.cached, self._paces
        before = len(known)
        most = min(int(size / self.bytes_per_token), wish.tokens)
        for backend, counted, seen_s, is_exact in traces:
            if backend in known or backend not in candidates:
                continue
            tokens = min(counted, wish.tokens) if is_exact else most
            age_s = now - seen_s
            known[backend] = _new(Known, (tokens, age_s, number))
            pace = paces.get(backend) or self.pace(backend)
            cached[backend] = tokens * pace.keeps(age_s)
        return len(known) > before

    def is_worth_it(self, mark: Mark) -> bool:
        """Whether so much of a prompt is worth finding again."""
        return int(mark.size / self.bytes_per_token) >= WORTH

    def placed(self, wish: Wish, backend: int, now: float) -> None:
        """A request goes to a backend: what is there will be asked for soon."""
        if not wish.is_worth_it:
            return
        self._note(wish, backend, now, len(wish.marks) - LAST)

    def _note(self, wish: Wish, backend: int, now: float, first: int) -> None:
        marks = wish.marks
        for number in {0, *range(max(0, first), len(marks))}:
            key, size = marks[number]
            if self.is_worth_it(marks[number]):
                self._table.note(key, backend, int(size / self.bytes_per_token), now)

    def answered(self, wish: Wish, backend: int, prompt: int, cached: int, now: float) -> None:
        """The backend counted ``prompt`` tokens and had ``cached`` of them."""
        if prompt <= 0:
            return
        if wish.window_key:
            self._table.note(wish.window_key, ANYBODY, prompt, now, True)
        if not wish.marks:
            return
        self._learn_size(wish.marks[-1].size, prompt)
        if not wish.is_worth_it:
            return
        known = wish.known.get(backend)
        if known is not None and known.tokens >= WORTH:
            pace = self.pace(backend)
            if cached * 2 >= known.tokens:
                pace.found(known.age_s)
            else:
                pace.missed(known.age_s)
        self._table.note(wish.marks[-1].key, backend, prompt, now, True)

    def failed(self, wish: Wish, backend: int) -> None:
        """The backend did not answer: nothing of the prompt is known to be there."""
        for mark in wish.marks[-LAST:]:
            self._table.forget(mark.key, backend)

    def _learn_size(self, size: int, prompt: int) -> None:
        ratio = min(max(size / prompt, 0.5), 16.0)
        self._learned += 1  # the first answers count more: 4 is a guess for English
        self.bytes_per_token += max(0.05, 1 / self._learned) * (ratio - self.bytes_per_token)
