"""llama-server's own result object: the body of ``/completion`` and of ``__verbose``."""

from functools import lru_cache
from typing import Any

from .generation import Generation

_DEFAULTS: dict[str, Any] = {
    "seed": 4294967295,
    "temperature": 0.800000011920929,
    "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0,
    "top_k": 40,
    "top_p": 0.949999988079071,
    "min_p": 0.05000000074505806,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "xtc_threshold": 0.10000000149011612,
    "typical_p": 1.0,
    "repeat_last_n": 64,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "dry_multiplier": 0.0,
    "dry_base": 1.75,
    "dry_allowed_length": 2,
    "dry_penalty_last_n": 64,
    "dry_sequence_breakers": ["\n", ":", '"', "*"],
    "mirostat": 0,
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.10000000149011612,
    "adaptive_target": -1.0,
    "adaptive_decay": 0.8999999761581421,
    "stop": [],
    "max_tokens": -1,
    "n_predict": -1,
    "n_keep": 0,
    "n_discard": 0,
    "ignore_eos": False,
    "stream": False,
    "logit_bias": [],
    "n_probs": 0,
    "min_keep": 0,
    "grammar": "",
    "grammar_lazy": False,
    "grammar_triggers": [],
    "preserved_tokens": [],
    "chat_format": "Content-only",
    "reasoning_format": "deepseek",
    "reasoning_in_content": False,
    "generation_prompt": "",
    "samplers": [
        "penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc",
        "temperature",
    ],
    "speculative.types": "none",
    "timings_per_token": False,
    "post_sampling_probs": False,
    "backend_sampling": False,
    "lora": [],
}  # fmt: skip
# /props and /slots leave these out: they may hold a client's text.
_PRIVATE = (
    "dry_sequence_breakers", "stop", "logit_bias", "grammar", "grammar_lazy", "grammar_triggers",
    "preserved_tokens",
)  # fmt: skip


@lru_cache(maxsize=1)
def default_parameters() -> dict[str, Any]:
    """Return ``default_generation_settings.params`` of /props."""
    public = {name: value for name, value in _DEFAULTS.items() if name not in _PRIVATE}
    return public | {"reasoning_format": "none"}


def parameters(generation: Generation, *, private: bool = False) -> dict[str, Any]:
    """Return the settings that a generation ran with."""
    body = generation.order.body
    names: tuple[str, ...] = ("seed", "temperature", "top_p", "top_k")
    known: dict[str, Any] = {name: body[name] for name in names if name in body}
    if isinstance(body.get("stop"), list):
        known["stop"] = body["stop"]
    asked = body.get("max_tokens", body.get("n_predict", -1))
    known |= {
        "max_tokens": asked,
        "n_predict": asked,
        "ignore_eos": bool(body.get("ignore_eos")),
        "stream": generation.order.stream,
        "chat_format": generation.order.chat_format,
        "timings_per_token": bool(body.get("timings_per_token")),
    }
    if generation.order.chat_format != "Content-only":
        known["generation_prompt"] = "<|im_start|>assistant\n"
        known["preserved_tokens"] = [263, 264]
    values = _DEFAULTS | known
    if private:
        return values
    return {name: value for name, value in values.items() if name not in _PRIVATE}


def token_id(text: str) -> int:
    """Return a token's id (see prompt.py: its bytes, read as a number)."""
    return int.from_bytes(text.encode()[:4], "big")


def result(generation: Generation, model: str) -> dict[str, Any]:
    """Return the final result, cut down to ``response_fields`` when the body has them."""
    order = generation.order
    body = order.body
    wanted_tokens = bool(body.get("return_tokens")) and not order.stream
    stop_type = generation.stop_type
    values: dict[str, Any] = {
        "index": order.index,
        "content": "" if order.stream else order.plan.prefix + generation.text,
        "tokens": [token_id(t.text) for t in generation.spoken] if wanted_tokens else [],
        "id_slot": generation.slot.id if generation.slot is not None else -1,
        "stop": True,
        "model": model,
        "tokens_predicted": generation.decoded,
        "tokens_evaluated": order.prompt_tokens,
        "generation_settings": parameters(generation, private=True),
        "prompt": "<s>" + order.prompt,
        "has_new_line": "\n" in generation.text,
        "truncated": order.truncates and stop_type == "limit",
        "stop_type": stop_type,
        "stopping_word": generation.ending.stopping_word if stop_type == "word" else "",
        "tokens_cached": order.prompt_tokens + generation.decoded - 1,
        "timings": generation.timings(),
    }
    fields = body.get("response_fields")
    if not isinstance(fields, list):
        return values
    return {name: values[name] for name in fields if name in values}
