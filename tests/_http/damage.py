"""Messages with one to three mistakes in them."""

import random
from collections.abc import Sequence


def damaged(data: bytes, chance: random.Random, splices: Sequence[bytes]) -> bytes:
    """``data`` with one to three bytes or pieces changed, put in, taken out or moved."""
    for _ in range(chance.randint(1, 3)):
        at, length = chance.randrange(len(data) + 1), chance.randint(1, 40)
        kind = chance.randrange(6)
        if kind == 0:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + chance.choice(splices) + data[at:]
        elif kind == 2:
            data = data[:at] + data[at + length :]
        elif kind == 3:
            data = data[:at] + data[at : at + length] + data[at:]
        elif kind == 4:
            data = data[:at]
        else:
            data = data[at:] + data[:at]
        data = data or b"x"
    return data
