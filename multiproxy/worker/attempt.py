"""One request at one backend: a connection, the bytes out, and the answer's relay."""

from multiproxy._http.client import BackendConnection
from multiproxy._http.pool import Pool
from multiproxy._http.server import ClientConnection
from multiproxy.dialects.splice import Splice
from multiproxy.dialects.translator import Translator
from multiproxy.errors import BackendDied, BackendError, ProxyError
from multiproxy.scoreboard import Phase
from multiproxy.worker.account import Account
from multiproxy.worker.relay import Downstream, Relay


class Attempt:
    """An attempt; ``relay`` is there from the moment the request was sent.

    ``reads_all``, ``folds`` and ``splice`` are ``Relay``'s.
    """

    def __init__(
        self,
        client: ClientConnection,
        downstream: Downstream,
        translator: Translator,
        account: Account,
        *,
        max_answer: int,
        reads_all: bool,
        folds: bool,
        splice: Splice | None = None,
    ) -> None:
        self.relay: Relay | None = None
        self._client = client
        self._downstream = downstream
        self._translator = translator
        self._account = account
        self._max_answer = max_answer
        self._reads_all = reads_all
        self._folds = folds
        self._splice = splice
        self._connection: BackendConnection | None = None

    @property
    def committed(self) -> bool:
        """Whether content went to the client: then nothing may be tried again."""
        return self.relay is not None and self.relay.committed

    @property
    def is_waiting(self) -> bool:
        """Whether a backend works on it."""
        return self._connection is not None

    async def run(self, pool: Pool, head: bytes, body: bytes, *, fresh: bool = False) -> Relay:
        """Send the request and wait for its answer; again if a reused connection was dead.

        ``fresh`` demands a new connection, so that nothing is ever sent twice.

        Raises:
            ProxyError: what went wrong; ``committed`` tells whether it shows.
        """
        resent = False
        while True:
            self._account.enter(Phase.CONNECTING)
            try:
                connection = await pool.acquire(fresh=fresh)
            except BackendError as refused:
                if not resent:
                    raise
                # It took the request, closed, and is not there any more: it died of it, maybe.
                raise BackendDied("The backend closed the connection too early.") from refused
            reused = connection.uses > 0
            relay = self._make_relay(connection)
            error = await self._send(connection, relay, head, body)
            # An error that came as an answer leaves the connection good for others. The last
            # piece may have made the client slow: who is next must not inherit the pause.
            connection.resume()
            pool.release(connection)
            if error is None:
                self._account.answered()
                return relay
            if not (reused and isinstance(error, BackendDied) and not connection.bytes_received):
                raise error
            # RFC 9112 section 9.3.1: an idle connection may close at any moment.
            fresh = resent = True

    def _make_relay(self, connection: BackendConnection) -> Relay:
        return Relay(
            self._client,
            connection,
            self._downstream,
            self._translator,
            max_answer=self._max_answer,
            reads_all=self._reads_all,
            folds=self._folds,
            splice=self._splice,
            on_begin=lambda: self._account.enter(Phase.DECODING),
        )

    async def _send(
        self, connection: BackendConnection, relay: Relay, head: bytes, body: bytes
    ) -> ProxyError | None:
        self._connection, self.relay = connection, relay
        try:
            if self._client.is_slow:
                connection.pause()
            connection.send(head, body, relay)
            self._account.enter(Phase.PREFILL)
            return await relay.done
        except BaseException:
            connection.abort()
            raise
        finally:
            self._connection = None

    def abort(self) -> None:
        """Stop the backend, in this very callback."""
        if self._connection is not None:
            self._connection.abort()

    def finish(self) -> None:
        """End a stream that is complete but for its backend's end."""
        if self.relay is not None and not self.relay.done.done():
            self.relay.finish()

    def pause(self) -> None:
        """The client does not keep up."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """The client keeps up again."""
        if self._connection is not None:
            self._connection.resume()
