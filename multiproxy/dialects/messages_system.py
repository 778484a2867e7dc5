"""The system prompt of a Messages request, without what would change on every request."""

import re

from multiproxy.dialects.messages_fields import is_text, wrong_type

_BILLING = "x-anthropic-billing-header:"
_BILLING_LINE = re.compile(r"x-anthropic-billing-header:(?:\s*[\w-]+=[^;\n]*;)+\s*")


def system_text(system: object, where: str) -> str:
    """The text of a system prompt or message, given as a string or as blocks.

    Claude Code begins with a line for Anthropic's billing whose ``cch=`` differs each time;
    at the head of the prompt it would make every prefix cache useless (llama.cpp#21793).
    Blocks that are no text say something about tools, which ``messages_tools`` reads.

    Raises:
        InvalidRequest: neither a string nor a list.
    """
    if system is None:
        return ""
    if isinstance(system, str):
        return without_billing(system)
    if not isinstance(system, list):
        raise wrong_type(where, "a string or a list of blocks")
    texts = [block["text"] for block in system if is_text(block)]
    return "\n\n".join(text for text in texts if text and not text.startswith(_BILLING))


def without_billing(text: str) -> str:
    """A system prompt without Claude Code's line for Anthropic's billing at its head."""
    line = _BILLING_LINE.match(text)
    return text[line.end() :] if line else text


def relayed_system(system: object) -> object:
    """What a request relayed as it is has for a system prompt: all but the line for billing."""
    if isinstance(system, str):
        return without_billing(system)
    if isinstance(system, list):
        return [
            block for block in system if not (is_text(block) and block["text"].startswith(_BILLING))
        ]
    return system
