"""A finished turn as the store keeps it: every item with an id that a client can name."""

from collections.abc import Mapping
from typing import Any

from multiproxy.dialects.responses_request import ResponsesTurn
from multiproxy.dialects.responses_store import Item, StoredResponse

_ID_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
}
_PART_TYPES = {"assistant": "output_text"}


def record(turn: ResponsesTurn, response: Mapping[str, Any], owner: str) -> StoredResponse:
    """The turn that ended with ``response``, a completed or incomplete response object."""
    suffix = response["id"].removeprefix("resp_")
    return StoredResponse(
        id=response["id"],
        owner=owner,
        parent=turn.previous_response_id,
        object=response,
        input=[_input_item(item, f"{suffix}{number}") for number, item in enumerate(turn.input)],
        output=response["output"],
    )


def _input_item(item: Item, suffix: str) -> Item:
    if not isinstance(item.get("id"), str):
        prefix = _ID_PREFIXES.get(item["type"], "item")
        item = {**item, "id": f"{prefix}_{suffix}"}
    if item["type"] == "message" and isinstance(item.get("content"), str):
        # The short form of a message; what is listed has the long one.
        part: Item = {
            "type": _PART_TYPES.get(str(item.get("role")), "input_text"),
            "text": item["content"],
        }
        if part["type"] == "output_text":
            part |= {"annotations": [], "logprobs": []}
        item = {"status": "completed", **item, "content": [part]}
    return item
