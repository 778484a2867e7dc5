"""What a backend is sent with every translated turn, whatever dialect the client speaks.

Source: llama.cpp tools/server (b11434).
"""

from collections.abc import Mapping
from typing import Any

from multiproxy.dialects.policy import Policy

SAMPLING_EXTRAS = (
    "seed",
    "min_p",
    "typical_p",
    "top_n_sigma",
    "repeat_penalty",
    "repeat_last_n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "grammar",
    "json_schema",
    "cache_prompt",
    "id_slot",
    "n_keep",
    "ignore_eos",
    "samplers",
    "chat_template_kwargs",
    "reasoning_format",
    "lora",
)
"""Fields of llama.cpp that a client of either dialect may add; passed through unseen."""

_EXTRA_FAMILIES = ("dry_", "xtc_", "mirostat")

_LLAMA_CPP_EXTRAS = {
    # The exact prompt size before the first token, and a sign of life while it is read.
    "return_progress": True,
    # With `response_fields` this adds some 70 bytes to the last event; without, the prompt.
    "verbose": True,
    "response_fields": ["stop_type", "stopping_word", "truncated"],
}


def envelope(model: str, messages: list[dict[str, Any]], policy: Policy) -> dict[str, Any]:
    """The fields of every translated request; a stream also when the client wants none."""
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if policy.is_llama_cpp:
        body.update(_LLAMA_CPP_EXTRAS)
        if messages and messages[-1]["role"] == "assistant":
            # Continued by default as well, but some builds then begin by repeating the text.
            body.update(continue_final_message=True, add_generation_prompt=False)
    return body


def sampling_extras(body: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    """The fields of ``body`` that only llama.cpp knows, for a backend that is one."""
    if not policy.is_llama_cpp:
        return {}
    return {
        key: value
        for key, value in body.items()
        if value is not None and (key in SAMPLING_EXTRAS or key.startswith(_EXTRA_FAMILIES))
    }
