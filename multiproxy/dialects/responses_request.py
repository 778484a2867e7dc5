"""A Responses request as a Chat request, and what the answer's translator must remember.

The mapping is lenient where clients differ from the specification and refuses only what
would change the meaning of the conversation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiproxy.dialects.backend_request import envelope, sampling_extras
from multiproxy.dialects.conversation import arrange
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_fields import Fields
from multiproxy.dialects.responses_items import (
    Item,
    ItemReader,
    call_ids,
    is_reference,
    resolve,
)
from multiproxy.dialects.responses_object import echo
from multiproxy.dialects.responses_tools import ToolMap, chat_tool_choice
from multiproxy.errors import InvalidRequest, Unsupported

_UNSUPPORTED = ("conversation", "prompt", "background")
_SEAL_REASONING = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"
_CALL_TYPES = ("function_call", "custom_tool_call")


@dataclass(frozen=True, slots=True)
class References:
    """What of a request is only named and must be fetched from the store before ``translate``."""

    previous_response_id: str | None
    item_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResponsesTurn:
    """One request, translated: ``body`` goes to the backend, the rest is for the way back.

    ``echoed`` are the members of the response object that repeat the request. ``input`` are
    the items of this turn alone. ``taken_ids`` are those of the calls in the history. ``dropped``
    names fields whose absence changes the meaning.
    """

    body: dict[str, Any]
    echoed: dict[str, Any]
    tools: ToolMap
    input: tuple[Item, ...]
    taken_ids: frozenset[str]
    dropped: tuple[str, ...]
    streams: bool
    stores: bool
    summarises: bool  # reasoning is told as a summary
    seals_reasoning: bool  # reasoning also travels in ``encrypted_content``
    one_call_only: bool
    previous_response_id: str | None


def references(body: Mapping[str, Any]) -> References:
    """What ``body`` refers to; members of wrong types are left for ``translate`` to refuse."""
    previous = body.get("previous_response_id")
    items = body.get("input")
    return References(
        previous if isinstance(previous, str) and previous else None,
        tuple(item["id"] for item in items if is_reference(item))
        if isinstance(items, list)
        else (),
    )


def translate(
    body: Mapping[str, Any],
    policy: Policy,
    *,
    backend_model: str | None = None,
    history: Sequence[Item] = (),
    stored_items: Mapping[str, Item] | None = None,
    can_store: bool = True,
) -> ResponsesTurn:
    """Map a request that was parsed to an object.

    ``backend_model`` is the name the backend knows the model by, None for the client's.
    ``history`` are the items of the chain that ``previous_response_id`` names,
    ``stored_items`` those that references name. ``can_store`` is False without a store.

    Raises:
        InvalidRequest: a member is missing or of a wrong type or value.
        Unsupported: the client asks for what this server cannot do.
        NotFound: a reference to an item that is not in ``stored_items``.
    """
    fields = Fields(body)
    model = fields.string("model")
    if not model:
        raise fields.missing("model")
    for key in _UNSUPPORTED:
        if body.get(key):
            raise Unsupported(f"'{key}' is not supported by this server.", param=key)
    new_items = resolve(_input(fields, bool(history)), stored_items or {}, "input")
    items = [*history, *new_items]
    reasoning, text = _configuration(fields, items)
    tools = ToolMap(_tools(fields, items), policy, wanted=_wanted(body, items))
    reader = ItemReader(tools, policy)
    messages = reader.read(items, "input", len(history))
    if body.get("instructions") is not None:
        messages = reader.instructions(body["instructions"]) + messages
    chat = envelope(backend_model or model, arrange(messages, policy), policy)
    chat |= _sampling(fields, policy)
    dropped = [*tools.dropped, *_meaningful(body)]
    _put_tools(chat, body, tools, policy)
    _put_reasoning(chat, reasoning.get("effort"), policy)
    _put_format(chat, text.get("format"))
    dropped += _put_logprobs(chat, fields, policy)
    include = [name for name in fields.items("include") or () if isinstance(name, str)]
    stores = can_store and fields.boolean("store") is not False
    return ResponsesTurn(
        body=chat,
        echoed=echo({**body, "store": stores}),
        tools=tools,
        input=tuple(new_items),
        taken_ids=call_ids(items),
        dropped=tuple(dict.fromkeys(dropped)),
        streams=fields.boolean("stream") or False,
        stores=stores,
        summarises=bool(reasoning.get("summary") or reasoning.get("generate_summary")),
        seals_reasoning=_SEAL_REASONING in include,
        one_call_only=fields.boolean("parallel_tool_calls") is False,
        previous_response_id=fields.string("previous_response_id") or None,
    )


def _input(fields: Fields, has_history: bool) -> Sequence[object]:
    value = fields.body.get("input")
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    if isinstance(value, list) and (value or has_history):
        return value
    if value is None and has_history:
        return ()
    if not value:
        raise fields.missing("input")
    raise InvalidRequest("Expected a string or a list.", param="input", code="invalid_type")


def _configuration(fields: Fields, items: Sequence[Item]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ``reasoning`` and ``text`` options; the last item that changes one of them wins."""
    reasoning = dict(fields.members("reasoning") or {})
    text = dict(fields.members("text") or {})
    for item in items:
        if item.get("type") == "configuration_update":
            for options, key in ((reasoning, "reasoning"), (text, "text")):
                update = item.get(key)
                options |= update if isinstance(update, dict) else {}
    return reasoning, text


def _tools(fields: Fields, items: Sequence[Item]) -> list[Any]:
    """The request's tools, then those that items brought along and that are new."""
    tools = list(fields.items("tools") or ())
    known = {_identity(tool) for tool in tools}
    for item in items:
        if item.get("type") in ("additional_tools", "tool_search_output"):
            more = item.get("tools")
            for tool in more if isinstance(more, list) else ():
                if isinstance(tool, dict) and _identity(tool) not in known:
                    known.add(_identity(tool))
                    tools.append({**tool, "defer_loading": False})
    return tools


def _identity(tool: object) -> object:
    return (str(tool.get("type")), str(tool.get("name"))) if isinstance(tool, dict) else None


def _wanted(body: Mapping[str, Any], items: Sequence[Item]) -> frozenset[str]:
    """The names that make a deferred tool known: called, found by a search, or chosen."""
    choice = body.get("tool_choice")
    named: list[object] = [choice] if isinstance(choice, Mapping) else []
    for item in items:
        if item.get("type") in _CALL_TYPES:
            named.append(item)
        elif item.get("type") == "tool_search_output" and isinstance(item.get("tools"), list):
            named += item["tools"]
    names = (each.get("name") for each in named if isinstance(each, Mapping))
    return frozenset(name for name in names if isinstance(name, str))


def _sampling(fields: Fields, policy: Policy) -> dict[str, Any]:
    limit = fields.integer("max_output_tokens")
    if limit is not None and limit < 1:
        raise InvalidRequest("max_output_tokens must be at least 1.", param="max_output_tokens")
    sampling = {
        "max_tokens": limit,
        "temperature": fields.number("temperature"),
        "top_p": fields.number("top_p"),
    }
    extras = sampling_extras(fields.body, policy)
    return extras | {key: value for key, value in sampling.items() if value is not None}


def _put_tools(
    chat: dict[str, Any], body: Mapping[str, Any], tools: ToolMap, policy: Policy
) -> None:
    choice, only = chat_tool_choice(body.get("tool_choice"), tools, policy)
    chat_tools = tools.chat_tools(only)
    if not chat_tools:
        if choice == "required":
            raise InvalidRequest(
                "tool_choice needs a tool that this server can offer.", param="tool_choice"
            )
        return
    chat["tools"] = chat_tools
    if choice is not None:
        chat["tool_choice"] = choice
    if body.get("parallel_tool_calls") is False:
        chat["parallel_tool_calls"] = False


def _put_reasoning(chat: dict[str, Any], effort: object, policy: Policy) -> None:
    if effort is None:
        return
    if not isinstance(effort, str):
        raise InvalidRequest("Expected a string.", param="reasoning.effort", code="invalid_type")
    if effort != "none":
        chat["reasoning_effort"] = policy.effort.get(effort, effort)
    elif policy.is_llama_cpp:
        # What the client says itself about its template wins.
        kwargs = chat.get("chat_template_kwargs")
        kwargs = kwargs if isinstance(kwargs, dict) else {}
        chat["chat_template_kwargs"] = {"enable_thinking": False, **kwargs}


def _put_format(chat: dict[str, Any], text_format: object) -> None:
    if text_format is None:
        return
    if not isinstance(text_format, dict):
        raise InvalidRequest("Expected an object.", param="text.format", code="invalid_type")
    match text_format.get("type"):
        case "text":
            return
        case "json_object":
            chat["response_format"] = {"type": "json_object"}
        case "json_schema":
            # The members are nested in Chat; some clients send them so here, too.
            nested = text_format.get("json_schema")
            source = nested if isinstance(nested, dict) else text_format
            if not isinstance(source.get("schema"), dict):
                raise InvalidRequest(
                    "Expected an object.", param="text.format.schema", code="invalid_type"
                )
            keys = ("name", "description", "schema", "strict")
            members = {key: source[key] for key in keys if source.get(key) is not None}
            chat["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "output", **members},
            }
        case kind:
            raise InvalidRequest(f"Unknown format {kind!r:.64}.", param="text.format.type")


def _put_logprobs(chat: dict[str, Any], fields: Fields, policy: Policy) -> list[str]:
    """Ask for logprobs; the field's name if that is impossible."""
    count = fields.integer("top_logprobs")
    if not count and _LOGPROBS not in (fields.items("include") or ()):
        return []
    if "tools" in chat and policy.is_llama_cpp:
        return ["top_logprobs"]  # llama.cpp refuses both together in a stream
    chat["logprobs"] = True
    if count:
        chat["top_logprobs"] = count
    return []


def _meaningful(body: Mapping[str, Any]) -> list[str]:
    """The ignored fields that would have changed the answer."""
    ignored = [
        key for key in ("max_tool_calls", "moderation", "context_management") if body.get(key)
    ]
    if body.get("truncation") == "auto":
        ignored.append("truncation")
    if body.get("service_tier") not in (None, "auto", "default"):
        ignored.append("service_tier")
    return ignored
