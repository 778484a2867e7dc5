"""The words of the tests' tiny model and which may follow which: readable gibberish.

A sentence is subject, verb, object and perhaps an adverb; after its full stop the answer may end.
Two objects hold characters that the tokeniser cuts into bytes (``é``, an emoji), so streams have
tokens that are no whole character. Ids are stable: ``<|im_end|>`` 260, ``<think>`` 261,
``</think>`` 262, ``<tool_call>`` 263.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import gguf

SUBJECTS = (
    "The proxy",
    "A slot",
    "The model",
    "One server",
    "The cache",
    "A token",
    "The stream",
    "Every client",
)
VERBS = ("waits for", "reads", "routes", "sends", "keeps", "drops", "repeats", "finds")
OBJECTS = (
    "the prompt",
    "a chunk",
    "the queue",
    "a reply",
    "the café",
    "an emoji 🦙",
    "the buffer",
    "some bytes",
)
ADVERBS = (
    "slowly",
    "again",
    "at once",
    "in order",
    "very well",
    "without pause",
    "by chance",
    "today",
)
ROLES = ("user", "assistant", "system")
SPACE = "\u2581"  # how SentencePiece writes a space
CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    ".,:;!?'\"-_()[]{}<>/\\|@#$%^&*+=~`\n"
)


@dataclass
class Vocabulary:
    """Tokens in order of their ids, with SentencePiece's types and merge scores."""

    tokens: list[str] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    id_of: dict[str, int] = field(default_factory=dict)

    def add(self, token: str, kind: gguf.TokenType, score: float = 0.0) -> None:
        self.id_of[token] = len(self.tokens)
        self.tokens.append(token)
        self.types.append(int(kind))
        self.scores.append(score)

    def ids(self, phrase: str) -> list[int]:
        """Return the tokens of a phrase in mid-sentence; unknown words fall apart into bytes."""
        ids: list[int] = []
        for word in phrase.split(" "):
            if SPACE + word in self.id_of:
                ids.append(self.id_of[SPACE + word])
                continue
            known = "caf" if word.startswith("caf") else ""
            ids.append(self.id_of[SPACE + known])
            ids += [self.id_of[f"<0x{byte:02X}>"] for byte in word.removeprefix(known).encode()]
        return ids


def vocabulary() -> Vocabulary:
    words = Vocabulary()
    words.add("<unk>", gguf.TokenType.UNKNOWN)
    words.add("<s>", gguf.TokenType.CONTROL)
    words.add("</s>", gguf.TokenType.CONTROL)
    for byte in range(256):
        words.add(f"<0x{byte:02X}>", gguf.TokenType.BYTE)
    for token in ("<|im_start|>", "<|im_end|>"):
        words.add(token, gguf.TokenType.CONTROL)
    for token in ("<think>", "</think>", "<tool_call>", "</tool_call>"):
        words.add(token, gguf.TokenType.USER_DEFINED)
    pieces = _pieces()
    rare = [character for character in (SPACE, *CHARACTERS) if character not in pieces]
    for rank, character in enumerate(rare, start=1):
        words.add(character, gguf.TokenType.NORMAL, -1000.0 - rank)
    for rank, piece in enumerate(sorted(pieces, key=len, reverse=True), start=1):
        words.add(piece, gguf.TokenType.NORMAL, float(-rank))  # the longer, the earlier it merges
    return words


def _pieces() -> list[str]:
    """Every word with all its prefixes, so that SentencePiece's merges lead up to it."""
    phrases = (*SUBJECTS, *VERBS, *OBJECTS, *ADVERBS)
    words = {SPACE + word for phrase in phrases for word in phrase.split(" ") if word.isascii()}
    words |= {*ROLES, SPACE + "caf", *(phrase.split(" ")[0] for phrase in SUBJECTS)}
    prefixes = {word[:end] for word in words for end in range(2, len(word) + 1)}
    return sorted(prefixes, key=lambda piece: (len(piece), piece))


def bigrams(words: Vocabulary) -> Iterator[tuple[int, int]]:
    """Yield (token, a token that may follow it); each pair is equally likely."""
    stop, newline, end = words.id_of["."], words.id_of["\n"], words.id_of["<|im_end|>"]
    subjects, verbs, objects, adverbs = (
        [words.ids(phrase) for phrase in group] for group in (SUBJECTS, VERBS, OBJECTS, ADVERBS)
    )
    for phrase in (*subjects, *verbs, *objects, *adverbs):
        yield from pairwise(phrase)
    for phrase, text in zip(subjects, SUBJECTS, strict=True):
        first = words.id_of[text.split(" ")[0]]  # no leading space at the start of an answer
        yield from ((newline, first), (first, phrase[1]), (stop, phrase[0]))
    for before, after in ((subjects, verbs), (verbs, objects), (objects, adverbs)):
        yield from ((one[-1], other[0]) for one in before for other in after)
    yield from ((phrase[-1], stop) for phrase in (*objects, *adverbs))
    yield (stop, end)
    for marker in ("<think>", "</think>", "<tool_call>"):
        yield (words.id_of[marker], newline)
    yield (words.id_of["</tool_call>"], end)
    yield (words.id_of[">"], end)
    # No needless white space where a grammar forces JSON.
    for before_json, after_json in {"{": '"', ":": '"{', ",": '"', '"': ':},"', "}": "}\n"}.items():
        yield from ((words.id_of[before_json], words.id_of[after]) for after in after_json)
    yield (words.id_of["}"], words.id_of["</tool_call>"])
