"""The response object and its output items, with every field the protocol calls required.

Source: openai SDK types/responses/response.py and the Open Responses schema, whose list of
required fields is longer; the values in effect are told, unknown ones are null.
"""

from collections.abc import Mapping
from typing import Any

from multiproxy.dialects.events import Usage

Object = dict[str, Any]

_ECHOED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "previous_response_id",
    "user",
    "safety_identifier",
    "prompt_cache_key",
)


def echo(body: Mapping[str, Any]) -> Object:
    """The fields of the response object that repeat the request ``body``."""
    reasoning = body.get("reasoning") or {}
    text = body.get("text") or {}
    parallel = body.get("parallel_tool_calls")
    return {
        **{key: body.get(key) for key in _ECHOED},
        "model": body["model"],
        "parallel_tool_calls": True if parallel is None else parallel,
        "reasoning": {
            "effort": reasoning.get("effort"),
            "summary": reasoning.get("summary") or reasoning.get("generate_summary"),
        },
        "background": False,
        "store": body.get("store") is not False,
        "temperature": _number(body.get("temperature"), 1.0),
        "top_p": _number(body.get("top_p"), 1.0),
        "presence_penalty": _number(body.get("presence_penalty"), 0),
        "frequency_penalty": _number(body.get("frequency_penalty"), 0),
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_logprobs": body.get("top_logprobs") or 0,
        "truncation": "disabled",
        "service_tier": "default",
        "metadata": body.get("metadata") or {},
    }


def response_object(
    echoed: Mapping[str, Any],
    *,
    response_id: str,
    created_at: int,
    status: str,
    output: list[Object],
    completed_at: int | None = None,
    usage: Usage | None = None,
    error: Object | None = None,
    incomplete_reason: str | None = None,
) -> Object:
    """The whole object; ``created_at`` and ``completed_at`` are Unix seconds."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "completed_at": completed_at,
        "status": status,
        "error": error,
        "incomplete_details": {"reason": incomplete_reason} if incomplete_reason else None,
        **echoed,
        "output": output,
        "usage": usage_object(usage),
    }


def usage_object(usage: Usage | None) -> Object | None:
    """All five parts or none: half a usage makes Codex fail the turn."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.output,
    }


def message_item(item_id: str, status: str, content: list[Object]) -> Object:
    return {
        "type": "message",
        "id": item_id,
        "role": "assistant",
        "status": status,
        "content": content,
    }


def output_text(text: str, logprobs: list[Any]) -> Object:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def refusal(text: str) -> Object:
    return {"type": "refusal", "refusal": text}


def reasoning_item(
    item_id: str, status: str, *, summary: str = "", content: str = "", sealed: str | None = None
) -> Object:
    """``summary`` or ``content`` is the text, depending on what the client asked for."""
    return {
        "type": "reasoning",
        "id": item_id,
        "status": status,
        "summary": [{"type": "summary_text", "text": summary}] if summary else [],
        "content": [{"type": "reasoning_text", "text": content}] if content else [],
        "encrypted_content": sealed,
    }


def _number(value: Any, default: float) -> Any:
    return default if value is None else value
