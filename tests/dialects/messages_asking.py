"""Short names for Messages requests and what becomes of them."""

from typing import Any

import pytest

from multiproxy.dialects.messages_request import translate
from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.dialects.policy import Policy
from multiproxy.errors import InvalidRequest, ProxyError, Unsupported

HI = [{"role": "user", "content": "hi"}]
STRICT = Policy(engine="strict")
WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBO\nRw0K"}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": {"type": "object"}, **more}


def turn(policy: Policy | None = None, **members: Any) -> MessagesTurn:
    return translate({"model": "demo", "messages": HI, **members}, policy or Policy())


def chat(policy: Policy | None = None, **members: Any) -> Any:
    return turn(policy, **members).body


def messages(*given: dict[str, Any], policy: Policy | None = None, **members: Any) -> Any:
    return chat(policy, messages=list(given), **members)["messages"]


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(call_id: str, name: str = "f", given: Any = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given or {}}


def result(call_id: str, content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def tool_text(content: Any, **more: Any) -> Any:
    """What the model reads of a tool's result."""
    return messages(*HI, assistant(use("t1")), user(result("t1", content, **more)))[2]["content"]


def refused(**members: Any) -> ProxyError:
    with pytest.raises((InvalidRequest, Unsupported)) as caught:
        turn(**members)
    error = caught.value
    assert isinstance(error, ProxyError)
    return error
