"""How requests are translated for backends: choices where no default suits every model."""

import re
from dataclasses import dataclass
from typing import Literal

from multiproxy.config.setting import Grammar, setting

_LEVEL = Grammar(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
    "1 to 64 letters, digits and . _ -, starting with a letter or digit",
)
_AROUND_TEXT = Grammar(
    re.compile(r"[\s\S]{0,1000}\{text\}[\s\S]{0,1000}"),
    "a text with {text} in it, and at most 1000 characters before and behind that",
)


@dataclass(frozen=True, slots=True)
class Effort:
    """What a backend is told for a reasoning effort that the client asks for.

    Templates know other levels than clients do: most have ``low``, ``medium`` and ``high``.
    """

    minimal: str = setting("low", "OpenAI's least, but for none", grammar=_LEVEL)
    low: str = setting("low", "little", grammar=_LEVEL)
    medium: str = setting("medium", "what clients mostly take for the usual", grammar=_LEVEL)
    high: str = setting("high", "much", grammar=_LEVEL)
    xhigh: str = setting("high", "more than high", grammar=_LEVEL)
    max: str = setting("high", "Anthropic's most", grammar=_LEVEL)


@dataclass(frozen=True, slots=True)
class Translation:
    """Messages and Responses over chat backends; see docs/protocols.md."""

    thinking_default: Literal["template", "off", "on"] = setting(
        "template",
        "whether a model thinks when a Messages client does not say; template = as its template "
        "has it. Thinking that is hidden still uses up max_tokens",
    )
    show_unrequested_thinking: bool = setting(
        False, "show a Messages client thinking that it did not ask for"
    )
    honour_thinking_display: bool = setting(
        False,
        "leave out the text of thinking for a Messages client that asks for 'display: omitted'; "
        "it then travels unseen in the signature",
    )
    effort_from_budget: bool = setting(
        False, "make a reasoning effort of a Messages client's budget_tokens"
    )
    effort: Effort = setting(
        Effort(),
        "what a backend is told for each level of effort; other words reach it as they are",
    )
    mid_system: Literal["fold", "keep", "hoist"] = setting(
        "fold",
        "system messages in the middle: fold = marked text of the message before; keep = as they "
        "are, for templates that allow it; hoist = joined to the first",
    )
    reminder: str = setting(
        "<system-reminder>\n{text}\n</system-reminder>",
        "what marks such a message where it is folded; {text} stands for what it says",
        grammar=_AROUND_TEXT,
    )
    defer_loading: Literal["honour", "ignore"] = setting(
        "honour", "tools marked so: honour = left out until they are needed; ignore = always sent"
    )
    prefill: Literal["pass", "reject"] = setting(
        "pass", "conversations that end with the assistant's words"
    )
    schema_sanitize: Literal["on_error", "always", "off"] = setting(
        "on_error",
        "taking out of tools' schemas what llama.cpp's grammars cannot say: on_error = once a "
        "backend has refused them; off = never, its refusal is told",
    )
    image_urls: Literal["forward", "reject"] = setting(
        "forward",
        "images given by address, which the backend then fetches; also in what is relayed as it "
        "is. An address of a file is always refused",
    )
    unsupported_media: Literal["error", "placeholder"] = setting(
        "error",
        "images for a model that sees none: error = refused in the last message, a placeholder "
        "in earlier ones; placeholder = never refused",
    )
    documents: Literal["reject", "placeholder"] = setting(
        "reject",
        "documents that cannot be read, such as PDF: reject = refused in the last message, a "
        "placeholder in earlier ones; placeholder = never refused",
    )
