"""What the SDKs are asked, in each dialect's own words."""

from typing import Any

DIALECTS = ("chat", "messages", "responses")

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}}
    for name in ("weather", "clock")
]
MESSAGES_TOOLS = [{"name": name, "input_schema": PARAMETERS} for name in ("weather", "clock")]
RESPONSES_TOOLS = [
    {"type": "function", "name": name, "parameters": PARAMETERS, "strict": False}
    for name in ("weather", "clock")
]
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
THREE_CALLS = [
    ("c0", "weather", {"city": "A"}),
    ("c1", "weather", {"city": "B"}),
    ("c2", "clock", {}),
]
ENDLESS = "word " * 4000  # 5,000 tokens; a slot has 2,048


def said(dialect: str, content: object, **members: Any) -> dict[str, Any]:
    """The user says ``content``."""
    history = [{"role": "user", "content": content}]
    if dialect == "responses":
        return {"model": "demo", "input": history, **members}
    limit = {"max_tokens": 500} if dialect == "messages" else {}
    return {"model": "demo", "messages": history, **limit, **members}


def shown(dialect: str) -> dict[str, Any]:
    """The user shows a picture."""
    url = f"data:image/png;base64,{PIXEL}"
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    picture = {
        "chat": {"type": "image_url", "image_url": {"url": url}},
        "messages": {"type": "image", "source": source},
        "responses": {"type": "input_image", "image_url": url},
    }
    return said(dialect, [picture[dialect]])


def formed(dialect: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The answer shall be JSON of this schema."""
    form = {"type": "json_schema", "schema": schema}
    members: dict[str, Any] = {
        "chat": {"response_format": {
            "type": "json_schema", "json_schema": {"name": "it", "schema": schema}}},
        "messages": {"output_config": {"format": form}},
        "responses": {"text": {"format": {**form, "name": "it"}}},
    }[dialect]  # fmt: skip
    return said(dialect, "Which city?", **members)
