"""How requests are translated for backends: choices where no default suits every model."""

from dataclasses import dataclass
from typing import Literal

from multiproxy.config.setting import setting


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
    mid_system: Literal["fold", "keep", "hoist"] = setting(
        "fold",
        "system messages in the middle: fold = marked text of the message before; keep = as they "
        "are, for templates that allow it; hoist = joined to the first",
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
        "forward", "images given by address, which the backend then fetches"
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
