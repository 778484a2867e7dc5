"""A Messages request as a Chat request, and what the answer must remember of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from multiproxy.dialects.backend_request import envelope, sampling_extras
from multiproxy.dialects.conversation import arrange
from multiproxy.dialects.messages_content import MessageReader, call_ids
from multiproxy.dialects.messages_fields import MessagesFields, object_at, wrong_type
from multiproxy.dialects.messages_system import system_text
from multiproxy.dialects.messages_tools import chat_tool_choice, mentions, offered_tools
from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.dialects.policy import Policy
from multiproxy.errors import InvalidRequest, Unsupported

_UNSUPPORTED = ("mcp_servers", "thread", "compaction")
_IGNORED = ("fallbacks", "inference_geo", "speed")  # leaving them out changes the answer
_WINDOW_STOP_VERSION = "2026-10-21"
_WINDOW_STOP_BETA = "model-context-window-exceeded"
_THINKING = ("enabled", "adaptive", "between_tools")
_CLEAR_THINKING = "clear_thinking_20251015"
_EFFORTS = ((4096, "low"), (16384, "medium"))  # budgets below these many tokens


def translate(
    body: Mapping[str, Any],
    policy: Policy,
    *,
    backend_model: str | None = None,
    version: str = "",
    betas: str = "",
) -> MessagesTurn:
    """Map a request that was parsed to an object; its Chat form is the turn's ``body``.

    ``backend_model`` is the name the backend knows the model by, None for the client's.
    ``version`` and ``betas`` are the ``anthropic-version`` and ``anthropic-beta`` fields.

    Raises:
        InvalidRequest: a member is missing or of a wrong type or value.
        Unsupported: the client asks for what this server cannot do.
    """
    fields = MessagesFields(body)
    model = fields.string("model") or backend_model or ""
    messages = fields.items("messages")
    if not messages:
        raise InvalidRequest("at least one message is required", param="messages")
    _refuse_unsupported(body)
    choice = fields.members("tool_choice") or {}
    offered = offered_tools(fields.items("tools") or (), mentions(messages), choice, policy)
    system = {"role": "system", "content": system_text(body.get("system"), "system")}
    read = MessageReader(offered.names, policy).read(messages)
    arranged = arrange([system, *read], policy)
    _clear_thinking(arranged, body.get("context_management"))
    if not arranged:
        raise InvalidRequest("at least one message is required", param="messages")
    if policy.prefill == "reject" and arranged[-1]["role"] == "assistant":
        raise Unsupported(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    chat = envelope(backend_model or model, arranged, policy)
    chat |= _sampling(fields, policy)
    chat |= chat_tool_choice(choice, offered, policy)
    _put_format(chat, fields)
    shows_thinking = _put_thinking(chat, fields, policy)
    display = (fields.members("thinking") or {}).get("display")
    return MessagesTurn(
        model=model,
        body=chat,
        stop_sequences=tuple(chat.get("stop", ())),
        shows_thinking=shows_thinking,
        withholds_thinking=policy.honour_thinking_display and display == "omitted",
        one_call_only="parallel_tool_calls" in chat,
        discards_output=chat.get("max_tokens") == 0,
        knows_window_stop=_knows_window_stop(version, betas),
        names=offered.names,
        taken_ids=call_ids(messages),
        dropped=(*offered.dropped, *_dropped(body)),
        streams=fields.boolean("stream") or False,
    )


def without_thinking(chat: Mapping[str, Any]) -> dict[str, Any]:
    """The request for a backend that raised ``PrefillRejected``."""
    kwargs = chat.get("chat_template_kwargs")
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    return {**chat, "chat_template_kwargs": {**kwargs, "enable_thinking": False}}


def _knows_window_stop(version: str, betas: str) -> bool:
    is_date = version[:4].isdigit()
    return (is_date and version >= _WINDOW_STOP_VERSION) or _WINDOW_STOP_BETA in betas


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    for key in _UNSUPPORTED:
        if body.get(key):
            raise Unsupported("not supported by this server", param=key)
    container = body.get("container")
    if isinstance(container, Mapping) and container.get("skills"):
        raise Unsupported("not supported by this server", param="container.skills")


def _sampling(fields: MessagesFields, policy: Policy) -> dict[str, Any]:
    limit = fields.integer("max_tokens")
    if limit is not None and limit < 0:
        raise InvalidRequest("Input should be greater than or equal to 0", param="max_tokens")
    stop = fields.items("stop_sequences") or []
    if not all(isinstance(text, str) for text in stop):
        raise wrong_type("stop_sequences", "a list of strings")
    sampling = {
        "max_tokens": limit,
        "temperature": fields.number("temperature"),
        "top_p": fields.number("top_p"),
        "top_k": fields.integer("top_k"),
        "stop": [text for text in stop if text] or None,
    }
    extras = sampling_extras(fields.body, policy)
    return extras | {key: value for key, value in sampling.items() if value is not None}


def _put_format(chat: dict[str, Any], fields: MessagesFields) -> None:
    config = fields.members("output_config") or {}
    where = "output_config.format" if config.get("format") is not None else "output_format"
    output = config.get("format") or fields.body.get("output_format")
    if output is None:
        return
    output = object_at(output, where)
    if output.get("type") != "json_schema":
        raise InvalidRequest("Input should be 'json_schema'", param=f"{where}.type")
    schema = object_at(output.get("schema"), f"{where}.schema")
    chat["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "output", "schema": schema, "strict": True},
    }


def _put_thinking(chat: dict[str, Any], fields: MessagesFields, policy: Policy) -> bool:
    """Ask the template to think or not; whether the client gets to see it."""
    effort = (fields.members("output_config") or {}).get("effort")
    if effort is not None:
        if not isinstance(effort, str):
            raise wrong_type("output_config.effort", "a string")
        chat["reasoning_effort"] = policy.effort.get(effort, effort)
    thinking = fields.members("thinking")
    if thinking is None:
        if policy.thinking_default != "template":
            _enable_thinking(chat, policy.thinking_default == "on", policy)
        return policy.show_unrequested_thinking
    kind = thinking.get("type")
    if kind == "disabled":
        _enable_thinking(chat, False, policy)
        return False
    if kind not in _THINKING:
        raise InvalidRequest(
            "Input should be 'enabled', 'adaptive' or 'disabled'", param="thinking.type"
        )
    _enable_thinking(chat, True, policy)
    budget = thinking.get("budget_tokens")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int)):
        raise wrong_type("thinking.budget_tokens", "an integer")
    # Zero means "no limit" to llama-server's templates that open the thinking themselves.
    if kind == "enabled" and budget and budget > 0:
        if policy.is_llama_cpp:
            chat["thinking_budget_tokens"] = budget
        if effort is None and policy.effort_from_budget:
            wanted = next((name for limit, name in _EFFORTS if budget < limit), "high")
            chat["reasoning_effort"] = policy.effort.get(wanted, wanted)
    return True


def _enable_thinking(chat: dict[str, Any], enable: bool, policy: Policy) -> None:
    if policy.is_llama_cpp:
        kwargs = chat.get("chat_template_kwargs")
        kwargs = kwargs if isinstance(kwargs, dict) else {}
        # What the client says itself about its template wins.
        chat["chat_template_kwargs"] = {"enable_thinking": enable, **kwargs}


def _dropped(body: Mapping[str, Any]) -> list[str]:
    dropped = [key for key in _IGNORED if body.get(key)]
    config = body.get("output_config")
    if isinstance(config, Mapping) and config.get("task_budget"):
        dropped.append("output_config.task_budget")
    edits = _edits(body.get("context_management"))
    if any(edit.get("type") != _CLEAR_THINKING for edit in edits):
        dropped.append("context_management")
    return dropped


def _edits(management: object) -> list[Mapping[str, Any]]:
    edits = management.get("edits") if isinstance(management, Mapping) else None
    if not isinstance(edits, list):
        return []
    return [edit for edit in edits if isinstance(edit, Mapping)]


def _clear_thinking(messages: Sequence[dict[str, Any]], management: object) -> None:
    """Take the thinking out of all but the last turns, as many as the client wants to keep.

    A turn lasts from one user message to the next; results of tools do not end it.
    """
    for edit in _edits(management):
        if edit.get("type") != _CLEAR_THINKING:
            continue
        keep = edit.get("keep", 1)
        if isinstance(keep, Mapping):
            keep = keep.get("value")
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
            continue  # "all", or nothing that makes sense
        kept, counts_as_new = 0, True
        for message in reversed(messages):
            if message["role"] == "user":
                counts_as_new = True
            elif "reasoning_content" in message:
                kept += counts_as_new
                counts_as_new = False
                if kept > keep:
                    del message["reasoning_content"]
