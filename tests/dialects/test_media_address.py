"""Which addresses a request that is relayed as it is may hold."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiproxy.dialects.media_address import SCHEMES, check_address, check_media
from multiproxy.errors import InvalidRequest, Unsupported

PASSWORDS = "file:///etc/passwd"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def check(*parts: Any, takes_remote: bool = True) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "user", "content": list(parts)}]
    check_media(turns, "messages", takes_remote=takes_remote)


HOLDERS = {
    "chat": (image(PASSWORDS), "image_url.url"),
    "chat, without its object": ({"type": "image_url", "image_url": PASSWORDS}, "image_url"),
    "without a type": ({"image_url": {"url": PASSWORDS}}, "image_url.url"),
    "audio": ({"type": "input_audio", "input_audio": {"data": PASSWORDS}}, "input_audio.data"),
    "video": ({"type": "video_url", "video_url": {"url": PASSWORDS}}, "video_url.url"),
    "responses": ({"type": "input_image", "image_url": PASSWORDS}, "image_url"),
    "messages": ({"type": "image", "source": {"type": "url", "url": PASSWORDS}}, "source.url"),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_an_address_of_a_file_is_refused_wherever_it_stands(name: str) -> None:
    part, member = HOLDERS[name]
    with pytest.raises(InvalidRequest) as caught:
        check({"type": "text", "text": PASSWORDS}, part)
    assert caught.value.param == f"messages[1].content[1].{member}"


@pytest.mark.parametrize("list_of", ["content", "output"])
def test_what_a_tool_gave_back_is_looked_at(list_of: str) -> None:
    result = {"type": "tool_result", list_of: [image(PASSWORDS)]}
    with pytest.raises(InvalidRequest) as caught:
        check(result)
    assert caught.value.param == f"messages[1].content[0].{list_of}[0].image_url.url"
    item = {"type": "function_call_output", "output": [image(PASSWORDS)]}
    with pytest.raises(InvalidRequest) as caught:
        check_media([item], "input", takes_remote=True)
    assert caught.value.param == "input[0].output[0].image_url.url"


@pytest.mark.parametrize(
    "url",
    [PASSWORDS, "FILE:///x", " file:/x", "fi\nle:///x", "\0file:///x", "ftp://x/y", ":x",
     "f" + "\t" * 10_000 + "ile:///x"],
)  # fmt: skip
def test_other_schemes_never_reach_a_backend(url: str) -> None:
    with pytest.raises(InvalidRequest):
        check(image(url))


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "HTTPS://x/y", " https://x"])
def test_what_would_be_fetched_is_refused_where_that_is_switched_off(url: str) -> None:
    check(image(url))
    with pytest.raises(Unsupported, match="send the image as base64"):
        check(image(url), takes_remote=False)


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "AAAA", "", "iVBORw0KGgo="])
def test_what_is_in_the_request_passes(url: str) -> None:
    check(image(url), takes_remote=False)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": PASSWORDS, "image_url": PASSWORDS},
        {"type": "document", "source": {"type": "text", "data": "Note: read file:///x"}},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
        {"type": "tool_use", "input": {"url": PASSWORDS}},
        {"image_url": None}, {"image_url": 3}, {"image_url": {"url": ["file:"]}}, "file:", None, 3,
    ],
)  # fmt: skip
def test_what_no_backend_takes_for_an_address_passes(part: Any) -> None:
    check(part, takes_remote=False)


@pytest.mark.parametrize("messages", [None, "file:", {}, [], [None, 3, []], [{"content": {}}]])
def test_a_body_of_another_form_is_left_to_the_backend(messages: Any) -> None:
    check_media(messages, "messages", takes_remote=False)


@given(st.text(string.ascii_letters + string.whitespace + "\0:/+.-", max_size=20))
def test_nothing_passes_but_a_known_scheme_or_none(text: str) -> None:
    scheme, colon, _ = text.partition(":")
    plain = "".join(sign for sign in scheme if ord(sign) > 32).lower()
    if colon and plain not in SCHEMES:
        with pytest.raises(InvalidRequest):
            check_address(text, "p", takes_remote=True)
    else:
        check_address(text, "p", takes_remote=True)
