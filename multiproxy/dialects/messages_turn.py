"""What an answer in the Messages dialect must know of its request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multiproxy.dialects.names import NameMap


@dataclass(frozen=True, slots=True)
class MessagesTurn:
    """The context of one request; ``messages_request`` makes it, the emitters read it.

    ``model`` is echoed as requested. ``body`` is the Chat request that the backend is sent;
    it is only read, to estimate its tokens for an engine that counts none. ``dropped`` names
    the fields that changed the meaning of the request by being left out.
    """

    model: str
    body: Mapping[str, Any] = field(repr=False, default_factory=dict)
    stop_sequences: tuple[str, ...] = ()
    shows_thinking: bool = False
    withholds_thinking: bool = False  # its text travels in the signature instead
    one_call_only: bool = False  # disable_parallel_tool_use
    discards_output: bool = False  # max_tokens 0: only the prompt cache is warmed
    knows_window_stop: bool = False  # `model_context_window_exceeded` means something to it
    names: NameMap = field(default_factory=NameMap)
    taken_ids: frozenset[str] = frozenset()  # of the calls in the history
    dropped: tuple[str, ...] = ()
    streams: bool = False
