"""What the client of one exchange is told: a whole answer, or how its stream ends."""

from typing import TYPE_CHECKING

from multiproxy._http.head import RequestHead
from multiproxy._http.server import ClientConnection
from multiproxy.dialects.translator import Translator
from multiproxy.errors import BackendError, ProxyError
from multiproxy.scoreboard import Phase
from multiproxy.worker import endpoints, understanding
from multiproxy.worker.account import Account
from multiproxy.worker.endpoints import Endpoint
from multiproxy.worker.relay import Downstream

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

# What was tried with several backends is not helped by an SDK's two further tries.
_NO_RETRY = ((b"x-should-retry", b"false"),)


class Reply:
    """The way back to one client. ``endpoint`` is None until it is known what is asked."""

    def __init__(
        self,
        worker: "Worker",
        client: ClientConnection,
        head: RequestHead,
        request_id: str,
        account: Account,
    ) -> None:
        self.downstream = Downstream(client)
        self.endpoint: Endpoint | None = None
        self._worker = worker
        self._client = client
        self._head = head
        self._request_id = request_id
        self._account = account

    def prepare(self, dropped: tuple[str, ...]) -> None:
        """Fix the header lines of the answer; ``dropped`` fields of the request are named."""
        self.downstream.fields = self._fields()
        if dropped:
            self.downstream.fields += understanding.dropped_field(dropped)

    def whole(self, status: int, fields: bytes, body: bytes, *, close: bool = False) -> None:
        """Send a complete answer."""
        self._account.record.status = status
        self._account.enter(Phase.FINISHING)
        self.downstream.bytes_out += len(body)
        fields += self.downstream.fields or self._fields()
        self._client.answer(status, fields, body, close=close)

    def tell(self, error: ProxyError, translator: Translator | None) -> None:
        """Tell what went wrong, in the form that is still possible."""
        self._account.failed(error)
        if isinstance(error, BackendError) and self._account.record.attempts > 1:
            error.headers += _NO_RETRY
        if self.downstream.is_open:
            assert translator is not None
            self.downstream.write(translator.fail(error))
            self._client.cut_stream()
        else:
            status, fields, body = self._worker.render(error, self._request_id, self._dialect)
            self.whole(status, fields, body, close=error.closes)

    @property
    def _dialect(self) -> str:
        if self.endpoint is None or self.endpoint.is_local:
            return endpoints.dialect_of(self._head)
        return self.endpoint.dialect

    def _fields(self) -> bytes:
        """The header lines of every answer of this exchange."""
        request_id = self._request_id.encode()
        fields = b"X-Request-Id: %b\r\n" % request_id + self._worker.cors_fields(self._head)
        if self._dialect == "messages":
            fields += b"request-id: %b\r\n" % request_id
        return fields
