"""Images, documents and results of searches, as the model is shown them."""

import pytest
from dialects.messages_asking import (
    HI,
    PDF,
    PNG,
    assistant,
    messages,
    text,
    tool_text,
    user,
)

from multiproxy.dialects.policy import Policy
from multiproxy.errors import Unsupported


def test_images_become_data_urls_without_white_space() -> None:
    url = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    answer = messages(user(text("see"), {"type": "image", "source": PNG}, url))
    assert answer[0]["content"] == [
        text("see"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


def test_a_model_without_eyes_refuses_only_the_last_turns_image() -> None:
    blind = Policy(vision=False)
    seen = user(text("see"), {"type": "image", "source": PNG})
    with pytest.raises(Unsupported):
        messages(seen, policy=blind)
    answer = messages(seen, assistant(text("a")), *HI, policy=blind)
    assert answer[0]["content"] == (
        "see\n\n[image omitted: the model does not support image input]"
    )


def test_documents_are_wrapped_and_old_pdfs_replaced() -> None:
    document = {
        "type": "document",
        "title": "T",
        "context": "C",
        "source": {"type": "text", "media_type": "text/plain", "data": "body"},
    }
    wrapped = '<document title="T" context="C">\nbody\n</document>'
    assert messages(user(document))[0]["content"] == wrapped
    inner = {"type": "content", "content": [text("bo"), text("dy")]}
    nested = messages(user({**document, "source": inner}))[0]["content"]
    assert nested == wrapped.replace("body", "bo\ndy")
    source = {"type": "base64", "media_type": "text/markdown", "data": "Ym9keQ=="}
    assert messages(user({**document, "source": source}))[0]["content"] == wrapped
    pdf = {"type": "document", "source": PDF}
    assert tool_text([pdf]) == "[document omitted: application/pdf, 6 bytes]"
    assert messages(user(pdf), assistant(text("a")), *HI)[0]["content"] == tool_text([pdf])


def test_a_search_result_is_told_with_its_source() -> None:
    found = {"type": "search_result", "title": "T", "source": "S", "content": [text("x")]}
    assert tool_text([found]) == "T\nS\nx"
