"""What the operator and the backend's engine decide about a translation.

One frozen object per (configuration, backend): every mapper reads it, none changes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

_EFFORT = MappingProxyType(
    {
        "minimal": "low",
        "low": "low",
        "medium": "medium",
        "high": "high",
        "xhigh": "high",
        "max": "high",
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Choices that change what a backend is sent.

    ``engine`` is ``llama.cpp`` (extra fields are understood, images may stay inside tool
    results, ``tool_choice`` must be a string) or ``strict`` (anything else: OpenAI's own
    rules, no extra fields). ``vision`` is False when the engine said that its model takes no
    images, None when unknown. ``reminder`` marks a system message that is folded, which it has
    in place of ``{text}``. ``unsupported_media`` and ``documents`` decide about images without
    vision and about documents nobody can read: an error only in the last user turn, because one
    screenshot in the history must not end a session, or always a ``placeholder``. ``native``
    backends are asked in the client's own dialect.
    """

    engine: Literal["llama.cpp", "strict"] = "llama.cpp"
    native: bool = False
    vision: bool | None = None
    image_urls: Literal["forward", "reject"] = "forward"
    unsupported_media: Literal["error", "placeholder"] = "error"
    documents: Literal["reject", "placeholder"] = "reject"
    mid_system: Literal["fold", "keep", "hoist"] = "fold"
    reminder: str = "<system-reminder>\n{text}\n</system-reminder>"
    defer_loading: Literal["honour", "ignore"] = "honour"
    thinking_default: Literal["template", "off", "on"] = "template"
    show_unrequested_thinking: bool = False
    honour_thinking_display: bool = False
    effort_from_budget: bool = False
    prefill: Literal["pass", "reject"] = "pass"
    schema_sanitize: Literal["on_error", "always", "off"] = "on_error"
    effort: Mapping[str, str] = field(default_factory=lambda: _EFFORT)

    @property
    def is_llama_cpp(self) -> bool:
        return self.engine == "llama.cpp"
