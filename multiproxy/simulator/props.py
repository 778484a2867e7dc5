"""Bodies of the information routes: /props, /v1/models, /slots, /metrics."""

from typing import Any

import orjson

from .engine import Engine, Slot
from .generation import Stage
from .native import default_parameters, parameters
from .settings import Settings
from .wire import Refusal

BUILD = "b0-unknown"
_TEMPLATE = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content"
    " + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def props(settings: Settings, engine: Engine) -> bytes:
    """Return /props."""
    return orjson.dumps(
        {
            "default_generation_settings": {
                "params": default_parameters(),
                "n_ctx": settings.context_size,
            },
            "total_slots": settings.slots,
            "model_alias": settings.model,
            "model_ftype": "F16",
            "model_path": f"/models/{settings.model}.gguf",
            "modalities": {"vision": False, "video": False, "audio": False},
            "media_marker": "<__media__>",
            "endpoint_slots": settings.slots_endpoint,
            "endpoint_props": True,
            "endpoint_metrics": settings.metrics,
            "ui": False,
            "ui_settings": {},
            "chat_template": _TEMPLATE,
            "chat_template_caps": {
                "supports_object_arguments": True,
                "supports_parallel_tool_calls": True,
                "supports_preserve_reasoning": False,
                "supports_reasoning_effort": False,
                "supports_string_content": True,
                "supports_system_role": True,
                "supports_tool_calls": True,
                "supports_tools": True,
                "supports_typed_content": False,
            },
            "bos_token": "<s>",
            "eos_token": "<|im_end|>",
            "build_info": BUILD,
            "is_sleeping": engine.asleep,
            "cors_proxy_enabled": False,
        }
    )


def models(settings: Settings, created: int) -> bytes:
    """Return /v1/models: Ollama's list and OpenAI's in one object."""
    ollama = {
        "name": settings.model,
        "model": settings.model,
        "modified_at": "",
        "size": "",
        "digest": "",
        "type": "model",
        "description": "",
        "tags": [""],
        "capabilities": ["completion"],
        "parameters": "",
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "",
            "families": [""],
            "parameter_size": "",
            "quantization_level": "",
        },
    }
    openai = {
        "id": settings.model,
        "aliases": [settings.model],
        "tags": [],
        "object": "model",
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "created": created,
        "owned_by": "llamacpp",
        "meta": {
            "vocab_type": 1,
            "n_vocab": 555,
            "n_ctx": settings.context_size,
            "n_ctx_train": 131072,
            "n_embd": 64,
            "n_params": 153280,
            "size": 307200,
            "ftype": "F16",
        },
    }
    return orjson.dumps({"models": [ollama], "object": "list", "data": [openai]})


def slots(settings: Settings, engine: Engine, query: str) -> bytes:
    """Return /slots.

    Raises:
        Refusal: the endpoint is off, or ``fail_on_no_slot`` was asked and all are busy.
    """
    if not settings.slots_endpoint:
        problem = "This server does not support slots endpoint. Start it with `--slots`"
        raise Refusal(501, problem)
    engine.touch()
    if "fail_on_no_slot=1" in query and len(engine.running) == len(engine.slots):
        raise Refusal(503, "no slot available")
    return orjson.dumps([_slot(slot, settings) for slot in engine.slots])


def _slot(slot: Slot, settings: Settings) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": slot.id,
        "n_ctx": settings.context_size,
        "speculative": False,
        "is_processing": slot.running is not None,
    }
    generation = slot.latest
    if generation is None:
        return entry
    busy = generation.stage is not Stage.ENDED
    progress = {
        "has_next_token": busy,
        "has_new_line": False,
        "n_remain": generation.limit - generation.decoded if busy else -1,
        "n_decoded": generation.decoded if busy else 0,
    }
    return entry | {
        "id_task": generation.task,
        "n_prompt_tokens": generation.order.prompt_tokens + generation.decoded,
        "n_prompt_tokens_processed": generation.processed - generation.cached if busy else 0,
        "n_prompt_tokens_cache": generation.cached if busy else 0,
        "params": parameters(generation),
        "next_token": [progress],
    }


def metrics(settings: Settings, engine: Engine) -> bytes:
    """Return /metrics.

    Raises:
        Refusal: the endpoint is off.
    """
    if not settings.metrics:
        problem = "This server does not support metrics endpoint. Start it with `--metrics`"
        raise Refusal(501, problem)
    totals = engine.totals
    read = totals.prompt / totals.prompt_s if totals.prompt_s else 0
    spoken = totals.predicted / totals.predicted_s if totals.predicted_s else 0
    values = (
        totals.prompt, totals.cached, totals.prompt_s, totals.predicted, totals.predicted_s,
        totals.predicted, totals.longest, 0, 0, 0, read, spoken, len(engine.running),
        len(engine.waiting), 1 if totals.predicted else 0,
    )  # fmt: skip
    lines = []
    for (name, kind, meaning), value in zip(_METRICS, values, strict=True):
        lines.append(f"# HELP llamacpp:{name} {meaning}\n# TYPE llamacpp:{name} {kind}\n")
        lines.append(f"llamacpp:{name} {value:g}\n" if kind == "gauge" else _total(name, value))
    return "".join(lines).encode()


def _total(name: str, value: float) -> str:
    shown = value if isinstance(value, int) else f"{value:g}"
    return f"llamacpp:{name} {shown}\n"


_METRICS = (
    (
        "prompt_tokens_total",
        "counter",
        "Number of prompt tokens processed, excluding cached tokens",
    ),
    ("prompt_tokens_cached_total", "counter", "Number of prompt tokens reused from the cache"),
    ("prompt_seconds_total", "counter", "Total time spent processing prompts"),
    ("tokens_predicted_total", "counter", "Number of generation tokens processed"),
    ("tokens_predicted_seconds_total", "counter", "Total time spent generating tokens"),
    (
        "n_decode_total",
        "counter",
        "Total number of llama_decode() calls, excluding speculative decoding and multimodal"
        " decoding",
    ),
    ("n_tokens_max", "counter", "Largest observed sequence length (prompt + generation)"),
    (
        "spec_decode_num_draft_tokens_total",
        "counter",
        "Speculative: Total draft tokens generated",
    ),
    (
        "spec_decode_num_accepted_tokens_total",
        "counter",
        "Speculative: Total draft tokens accepted by the target model",
    ),
    (
        "spec_decode_num_drafts_total",
        "counter",
        "Speculative: Total speculative decoding verification steps",
    ),
    ("prompt_tokens_seconds", "gauge", "Average prompt throughput in tokens/s"),
    ("predicted_tokens_seconds", "gauge", "Average generation throughput in tokens/s"),
    ("requests_processing", "gauge", "Number of requests processing"),
    ("requests_deferred", "gauge", "Number of requests deferred"),
    ("n_busy_slots_per_decode", "gauge", "Average number of busy slots per llama_decode() call"),
)
