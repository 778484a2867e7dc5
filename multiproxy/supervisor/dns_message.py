"""DNS messages: a question -> bytes, and bytes -> what was answered. No socket, no clock.

Only what finding servers needs: A, AAAA and SRV. Source: RFC 1035 section 4, RFC 2782, RFC 3596.
"""

import ipaddress
import struct
from dataclasses import dataclass
from enum import IntEnum

MAX_NAMES = 128  # labels and pointers of one name: a name of 255 bytes has no more
_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")
_SRV = struct.Struct(">HHH")
_RECURSION_DESIRED, _RESPONSE, _TRUNCATED = 0x0100, 0x8000, 0x0200
_INTERNET = 1


class Type(IntEnum):
    A = 1
    AAAA = 28
    SRV = 33


class BadMessage(ValueError):
    """The bytes are no DNS message, or not the answer to this question."""


@dataclass(frozen=True, slots=True)
class Record:
    """``host`` is an address of an A or AAAA record, a name of an SRV record; ``ttl`` seconds."""

    type: Type
    ttl: int
    host: str
    port: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` is the RCODE: 0 fine, 3 no such name.

    ``truncated``: there are more records than fit; ask again over TCP, none are given here.
    """

    status: int
    truncated: bool
    records: tuple[Record, ...]


def question(number: int, name: str, kind: Type) -> bytes:
    """A query for one name.

    Raises:
        BadMessage: the name cannot be written: a label is empty or has more than 63 bytes.
    """
    return _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0) + _asked(name, kind)


def parse(message: bytes, asked: bytes) -> Answer:
    """The answer to the query ``asked``; records of other types are left out.

    Raises:
        BadMessage
    """
    try:
        number, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
        end = len(asked)
        # The same number and the same question, letter case aside: else it is not for us.
        if number != _HEADER.unpack_from(asked)[0] or not flags & _RESPONSE or questions != 1:
            raise BadMessage("not the answer to our question")
        if message[_HEADER.size : end].lower() != asked[_HEADER.size :].lower():
            raise BadMessage("the answer to another question")
        status = flags & 0xF
        if flags & _TRUNCATED:
            return Answer(status, True, ())
        records = []
        for _ in range(answers):
            record, end = _record(message, end)
            if record is not None:
                records.append(record)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BadMessage(f"cut off or malformed: {error}") from error
    return Answer(status, False, tuple(records))


def _asked(name: str, kind: Type) -> bytes:
    labels = name.rstrip(".").encode("ascii").split(b".")
    if not all(0 < len(label) < 64 for label in labels):
        raise BadMessage(f"no name: {name}")
    written = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return written + struct.pack(">HH", kind, _INTERNET)


def _record(message: bytes, start: int) -> tuple[Record | None, int]:
    _, start = _name(message, start)
    kind, group, ttl, size = _RECORD.unpack_from(message, start)
    start += _RECORD.size
    end = start + size
    data = message[start:end]
    if len(data) != size:
        raise IndexError("a record is cut off")
    if group != _INTERNET or kind not in Type.__members__.values():
        return None, end
    if kind == Type.SRV:
        priority, _, port = _SRV.unpack_from(data)
        host, _ = _name(message, start + _SRV.size)
        return Record(Type.SRV, ttl, host, port, priority), end
    if size != (4 if kind == Type.A else 16):
        raise BadMessage("an address of a wrong size")
    return Record(Type(kind), ttl, str(ipaddress.ip_address(data))), end


def _name(message: bytes, start: int) -> tuple[str, int]:
    """A name and where it ends; pointers lead back to earlier ones."""
    labels: list[str] = []
    end = 0
    for _ in range(MAX_NAMES):
        size = message[start]
        if size >= 0xC0:
            end = end or start + 2
            start = (size & 0x3F) << 8 | message[start + 1]
        elif size > 63:
            raise BadMessage("an unknown kind of label")
        elif size:
            labels.append(message[start + 1 : start + 1 + size].decode("ascii"))
            start += 1 + size
        else:
            return ".".join(labels), end or start + 1
    raise BadMessage("a name without an end")
