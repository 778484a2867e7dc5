"""Does a prompt fit a context window: proved by its bytes or by the last turn, or to be asked.

No token is shorter than a byte, so a prompt of few bytes fits whatever they are; and what an
engine counted for the beginning of a conversation is true for the next turn, so that only
the new bytes have to be bounded. Asking an engine costs a round trip and is left for the rest.
A vocabulary that breaks the first rule is found out (``worker/vocabularies.py``): then every
prompt is counted.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

FIXED = 1024  # tokens that a template may put around a prompt: tool instructions, a default system
PER_TURN = 16  # tokens that it may put around a message
TOOLS = 3  # templates write tools anew, with blanks and \u escapes: up to so many times as long
SEAM = 32  # tokens that a prefix may differ by when more follows it
LIKELY = 2.0  # a prompt is not that many times longer than its bytes let expect
# What vocabularies that normalise or spell out write at greater length than it was: ligatures and
# squared words, syllables made of letters, marks on marks, joined emoji, rare and unassigned signs.
AWKWARD = (
    "\ufdfa\ufdfb" * 30,
    "\u3300\u330d\u337f\u32c0" * 20,
    "\ud7a3\uac01\ud4db" * 30,
    "Z\u0351\u0363\u0321\u0316a\u0309\u0323\u1ea8\u1e69\u0328" * 12,
    "\U0001f469\u200d\U0001f9b3\U0001f3f4\U000e0067\U000e007f\U0001f1e6\U0001f1f6" * 8,
    "\U00020bb7\U00012300\U000f0000\u0378\ue000\ufffd" * 15,
    "\x01\x1f\x7f\u00a0\u2028\u200b\ufeff\t\n  \r\n      0123456789" * 10,
)


class Verdict(Enum):
    FITS = 1  # all windows
    LIKELY = 2  # so likely that the engine may be the one to refuse it
    ASK = 3


class Prompt(NamedTuple):
    """A prompt's ``size`` in bytes and ``turns``; ``tools`` are the bytes that may be tools.

    An engine counted ``known_tokens`` for its first ``known_size`` bytes and ``known_turns``;
    0 when none did.
    """

    size: int
    turns: int
    tools: int = 0
    known_tokens: int = 0
    known_size: int = 0
    known_turns: int = 0

    @property
    def is_counted(self) -> bool:
        """Whether the whole of it was counted."""
        return self.known_tokens > 0 and self.known_turns == self.turns

    @property
    def most(self) -> int:
        """The most tokens it can have."""
        if self.known_tokens:
            new = self.size - self.known_size + PER_TURN * (self.turns - self.known_turns)
            return self.known_tokens + new + SEAM
        return self.size + (TOOLS - 1) * self.tools + PER_TURN * self.turns + FIXED

    def likely(self, bytes_per_token: float) -> int:
        """More tokens than it will have, after what recent prompts had per byte."""
        new = (self.size - self.known_size) / bytes_per_token * LIKELY
        return self.known_tokens + int(new) + FIXED


def surely_fits(size: int, window: int) -> bool:
    """Whether a body of ``size`` bytes fits without a closer look."""
    return TOOLS * size + FIXED < window


def is_bounded(text: str, tokens: int) -> bool:
    """Whether a tokenizer that makes ``tokens`` of a text keeps to its bytes, with what it adds."""
    return tokens <= len(text.encode()) + PER_TURN


def judge(
    prompt: Prompt, windows: Mapping[int, int], bytes_per_token: float, *, proves: bool = True
) -> Verdict:
    """Return what is known of a prompt before ``windows`` (tokens, by backend).

    ``proves`` tells that bytes bound tokens: else only a count is good.
    """
    if not proves:
        return Verdict.ASK
    smallest, largest = min(windows.values()), max(windows.values())
    if prompt.most < smallest:
        return Verdict.FITS
    if smallest == largest and not prompt.is_counted:
        # One window everywhere: nothing can be chosen, only refused, and that the engine does.
        if prompt.likely(bytes_per_token) < smallest:
            return Verdict.LIKELY
    return Verdict.ASK


def too_small(tokens: int, windows: Mapping[int, int]) -> frozenset[int]:
    """Return the backends whose window a prompt of ``tokens`` does not fit.

    llama-server refuses a prompt that leaves no room for one token of an answer.
    """
    return frozenset(backend for backend, window in windows.items() if tokens >= window)


def larger(windows: Mapping[int, int], backend: int, tokens: int | None) -> frozenset[int]:
    """Return who may take a prompt that ``backend`` refused, of ``tokens`` if it told them."""
    least = max(windows.get(backend, 0), tokens or 0)
    return frozenset(each for each, window in windows.items() if window > least and each != backend)
