"""Streams of a backend gone wrong: good ones with a few mistakes in them."""

from random import Random

import chat_notation as chat

# One of everything, for a turn with the tools ``f``, ``g`` and a custom ``patch``.
EVERYTHING = (
    chat.ROLE + chat.progress(9, 3, 6) + chat.reasoning("r") + chat.text("Hello 🙂")
    + chat.refusal("no") + chat.call(0, "c0", "f", '{"x":') + chat.call(1, "c1", "patch", "")
    + chat.call(0, arguments='"1"}') + chat.call(1, arguments='{"input":"a\\nb"}')
    + chat.finish("tool_calls", __verbose=chat.verbose("eos")) + chat.usage() + chat.DONE
)  # fmt: skip
_PIECES = (b"\n\n", b"data: ", b"null", b'{"', b"\r", b"[DONE]", b'"error":{},', b"[]")


def mutated(stream: bytes, random: Random) -> bytes:
    """``stream`` with one to four mistakes in it."""
    data = bytearray(stream)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        match random.randrange(6):
            case 0:
                del data[at : at + random.choice((1, 5, 100))]
            case 1:
                data[at:at] = random.randbytes(random.choice((1, 3, 9)))
            case 2:
                data[at : at + 1] = bytes([random.randrange(256)])
            case 3:
                data[at:at] = data[at : at + random.choice((10, 200))]
            case 4:
                data[at:at] = random.choice(_PIECES)
            case 5:
                del data[at:]
    return bytes(data)
