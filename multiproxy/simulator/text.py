"""Deterministic words: what a simulated model says is a function of its seed and prompt."""

import random
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import orjson


class Token(NamedTuple):
    """One generated token.

    ``encoded`` is ``text`` as a JSON string; ``delta`` is what stands between the braces of
    a chat chunk's ``"delta":{}``. Both are made once, not per event.
    """

    kind: str  # content | reasoning_content | tool_calls
    text: str
    encoded: bytes
    delta: bytes


def token(text: str, kind: str = "content") -> Token:
    """Return a token of plain text."""
    encoded = orjson.dumps(text)
    return Token(kind, text, encoded, b'"%b":%b' % (kind.encode(), encoded))


# A token that is decoded but shows no text: template tags, the first token of constrained
# output. It still makes a result, so a stream's role event goes out with it.
HIDDEN = Token("content", "", b'""', b"")

_FIRST = ("A", "One", "The", "Every", "This", "No")
_WORDS = (
    "proxy server slot token prompt client cache model reply chunk byte stream worker queue "
    "reads sends keeps drops routes finds waits for counts holds opens closes moves writes "
    "some the a every one its bytes by chance without pause today very well again once more "
    "quietly in order between two requests and then"
).split()
_WORDS += ["café", "naïve", "größer", "日本", "🦙"]

FIRST = tuple(token(word) for word in _FIRST)
NEXT_FIRST = tuple(token(f" {word}") for word in _FIRST)
WORDS = tuple(token(f" {word}") for word in _WORDS)
STOP = token(".")
REASONING_FIRST = tuple(token(word, "reasoning_content") for word in _FIRST)
REASONING_WORDS = tuple(token(f" {word}", "reasoning_content") for word in _WORDS)


def random_of(seed: int, prompt: str, index: int = 0) -> random.Random:
    """Return the chance that belongs to a seed, a prompt and a choice's index."""
    return random.Random(f"{seed}/{zlib.crc32(prompt.encode())}/{index}")


def speak(chance: random.Random, *, endless: bool = False) -> Iterator[Token]:
    """Yield three to six sentences (``endless``: no end)."""
    sentences = chance.randint(3, 6)
    first = FIRST
    fraction, count = chance.random, len(WORDS)  # several times cheaper than choice()
    while endless or sentences > 0:
        yield chance.choice(first)
        for _ in range(chance.randint(4, 13)):
            yield WORDS[int(fraction() * count)]
        yield STOP
        first = NEXT_FIRST
        sentences -= 1


def think(chance: random.Random, tokens: int) -> Iterator[Token]:
    """Yield ``tokens`` tokens of reasoning."""
    for number in range(tokens):
        yield chance.choice(REASONING_WORDS if number else REASONING_FIRST)


def show_thinking(thoughts: Iterator[Token]) -> Iterator[Token]:
    """Yield reasoning as content between tags, for ``reasoning_format: none``."""
    opening = "<think>\n"
    for thought in thoughts:
        yield token(opening + thought.text)
        opening = ""
    yield token("</think>")
    yield token("\n")


def echo(nonce: str) -> Iterator[Token]:
    """Yield tokens that each carry ``nonce`` and their sequence number, without end."""
    number = 0
    while True:
        yield token(f" {nonce}:{number}")
        number += 1
