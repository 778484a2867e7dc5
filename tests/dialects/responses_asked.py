"""Small Responses requests as a backend gets them, and their items."""

from typing import Any

import pytest
from dialects.responses_run import turn

from multiproxy.dialects.policy import Policy
from multiproxy.errors import ClientError, ProxyError


def chat(policy: Policy | None = None, **members: Any) -> dict[str, Any]:
    return turn(policy, **members).body


def messages(items: list[Any], policy: Policy | None = None, **members: Any) -> list[Any]:
    out: list[Any] = chat(policy, input=items, **members)["messages"]
    return out


def refusal(policy: Policy | None = None, **members: Any) -> ProxyError:
    with pytest.raises(ClientError) as caught:
        turn(policy, **members)
    assert caught.value.status in (400, 404)
    return caught.value


def call(call_id: str = "c1", name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str = "c1", value: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": value}
