"""What one request of a fault run asks for, and the only right answer to it.

Load and judge share this page, and neither shares anything with the proxy. The prompt makes a
simulated backend say the request's nonce and a number in every token, so the whole answer is
known before it is asked for.
"""

from dataclasses import asdict, dataclass
from typing import Any

PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
END_TOKENS = 1  # the token that ends an answer is counted and not said


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``dialect`` is a key of ``PATHS``, or ``garbage``: no HTTP at all.

    ``leaves`` tells that its client will not wait for the end, ``is_counted`` that the answer's
    usage must be exact: it is estimated when a wire breaks behind the finish reason.
    """

    number: int
    nonce: str
    tokens: int
    dialect: str = "chat"
    stream: bool = True
    leaves: bool = False
    is_counted: bool = True

    @property
    def text(self) -> str:
        """Every word of the right answer."""
        return "".join(f" {self.nonce}:{number}" for number in range(self.tokens))

    @property
    def output_tokens(self) -> int:
        """What the answer's usage must say."""
        return self.tokens + END_TOKENS

    def body(self) -> dict[str, Any]:
        """The request's JSON."""
        prompt = f"@echo {self.nonce} {self.tokens}"
        body: dict[str, Any] = {"model": "demo", "stream": self.stream}
        if self.dialect == "responses":
            return body | {"input": prompt, "store": False}
        if self.dialect == "messages":
            body["max_tokens"] = 10 * self.tokens
        elif self.stream:
            body["stream_options"] = {"include_usage": True}
        return body | {"messages": [{"role": "user", "content": prompt}]}

    def record(self) -> dict[str, Any]:
        """Its members, for a line of JSON; ``Asked(**record)`` reads it."""
        return asdict(self)
