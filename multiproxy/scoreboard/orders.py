"""What the supervisor tells each worker to do: requests to cancel, by their ids.

Each worker has a short ring of orders that only the supervisor writes; a worker looks at its
count on every turn of its clock. Nothing is acknowledged: an order is carried out when its
request is no longer in the live table. More orders at once than the ring holds overwrite each
other, and the request goes on, as the page shows.
"""

from multiproxy.scoreboard import layout

_ID_SIZE = 16  # 12 characters
ORDERS = (layout.ORDERS.row_size - layout.LINE) // _ID_SIZE  # kept per worker


class Orders:
    """Rows by worker; ``give`` is the supervisor's, the rest is for the worker."""

    def __init__(self, memory: "memoryview[int]") -> None:
        self._memory = memory
        rows = memory[layout.ORDERS.offset : layout.ORDERS.end].cast("Q")
        self._counts = rows[:: layout.ORDERS.row_size // 8]

    def given(self, worker: int) -> int:
        """How many orders a worker's row ever had; a new worker starts from there."""
        return self._counts[worker]

    def give(self, worker: int, request_id: str) -> None:
        """Tell a worker to cancel a request."""
        count = self._counts[worker]
        at = self._at(worker, count)
        self._memory[at : at + _ID_SIZE] = request_id.encode("ascii").ljust(_ID_SIZE, b"\0")
        layout.fence()
        self._counts[worker] = count + 1

    def read(self, worker: int, cursor: int) -> tuple[list[str], int]:
        """The ids of orders number ``cursor`` and later that are still there, and their end."""
        count = self._counts[worker]
        layout.fence()
        ids = []
        for number in range(max(cursor, count - ORDERS), count):
            at = self._at(worker, number)
            ids.append(bytes(self._memory[at : at + _ID_SIZE]).rstrip(b"\0").decode("ascii"))
        return ids, count

    def _at(self, worker: int, number: int) -> int:
        return layout.ORDERS.at(worker) + layout.LINE + number % ORDERS * _ID_SIZE
