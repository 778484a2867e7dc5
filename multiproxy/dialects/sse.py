"""How server-sent events are cut out of a byte stream. Source: WHATWG HTML, 9.2.6."""

from multiproxy.errors import BackendProtocolError

_BOM = b"\xef\xbb\xbf"


class ErrorData(bytes):
    """The data of an ``event: error``, or of the ``error:`` line of old llama-servers."""


class EventSplitter:
    """Cuts a byte stream into the ``data`` fields of complete events.

    Pieces may be of any size and cut anywhere; lines end in LF, CRLF or CR. Event names,
    ids and retry fields are not kept: every backend puts the type into the JSON as well.
    Comments are counted in ``comments``: they are a sign of life.

    Raises:
        BackendProtocolError: an event passed ``max_event_size`` bytes. Events of the same
            piece that were complete before are given first, with ``overflowed`` set; then
            the next call raises.
    """

    def __init__(self, max_event_size: int = 16 << 20) -> None:
        self.comments = 0
        self.overflowed = False
        self._max_event_size = max_event_size
        self._line = bytearray()  # an unfinished line
        self._data: list[bytes] = []  # the data lines of the unfinished event
        self._size = 0  # bytes of the unfinished event's complete lines
        self._is_error = False  # the unfinished event is named "error"
        self._after_cr = False  # a LF that comes next belongs to the last line ending
        self._at_start = True
        self.is_between = True  # no event is unfinished: the next byte begins one

    def feed(self, piece: bytes) -> list[bytes]:  # per piece
        """The data of the events that ``piece`` completed; an ``ErrorData`` is an error."""
        if (
            self.is_between
            and piece.startswith(b"data: ")
            and piece.endswith(b"\n\n")
            and piece.find(b"\r") < 0  # `in` costs five times as much
            and len(piece) <= self._max_event_size
        ):
            # Whole events of one line each: what llama-server writes at once.
            self._at_start = False
            if piece.find(b"\n") == len(piece) - 2:
                return [piece[6:-2]]
            events = piece[6:-2].split(b"\n\ndata: ")
            if not any(event.find(b"\n") >= 0 for event in events):
                return events
        return self._feed_lines(piece)

    def finish(self) -> list[bytes]:
        """The stream ended: the data of an event that lacks only its blank line."""
        events: list[bytes] = []
        if self._line:
            line, self._line = bytes(self._line), bytearray()
            self._take_line(line, events)
        self._take_line(b"", events)
        return events

    def _feed_lines(self, piece: bytes) -> list[bytes]:
        events = [] if self.overflowed else self._split_lines(piece)
        self.is_between = not (self._line or self._size or self.overflowed)
        if self.overflowed and not events:
            raise BackendProtocolError(
                f"The backend sent an event of more than {self._max_event_size} bytes."
            )
        return events

    def _split_lines(self, piece: bytes) -> list[bytes]:
        if self._after_cr and piece:
            piece = piece[1:] if piece.startswith(b"\n") else piece
            self._after_cr = False
        if piece.find(b"\r") >= 0:
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        events: list[bytes] = []
        lines = piece.split(b"\n")
        if len(lines) > 1 and self._line:
            self._line += lines[0]
            lines[0] = bytes(self._line)
            self._line = bytearray()
        rest = lines.pop()
        for line in lines:
            self._take_line(line, events)
        self._line += rest
        if self._size + len(self._line) > self._max_event_size:
            self._overflow()
        return events

    def _take_line(self, line: bytes, events: list[bytes]) -> None:
        if self._size + len(line) > self._max_event_size:
            self._overflow()
        if self.overflowed:
            return
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:  # a blank line dispatches the event
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                events.append(ErrorData(data) if self._is_error else data)
                self._data = []
            self._size = 0
            self._is_error = False
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        self._size += len(line) + 1
        if name == b"data":
            self._data.append(value)
        elif not name:
            self.comments += 1
        elif name == b"event":
            self._is_error = value.strip() == b"error"
        elif name == b"error":  # llama-server before September 2025, llama.cpp#16109
            events.append(ErrorData(value))

    def _overflow(self) -> None:
        self.overflowed = True
        self._line = bytearray()
        self._data = []
