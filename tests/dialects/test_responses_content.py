"""What is inside of messages and outputs, as Chat parts."""

from typing import Any

import pytest
from dialects.responses_asked import call, messages, output, refusal

from multiproxy.dialects.policy import Policy
from multiproxy.errors import Unsupported

STRICT = Policy(engine="strict")
BLIND = Policy(vision=False)
USER = {"role": "user", "content": "go"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def test_an_image_is_a_part_and_texts_alone_are_a_string() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    assert messages([{"role": "user", "content": parts}])[0]["content"] == "a\n\nb"
    image = {"type": "input_image", "image_url": PIXEL, "detail": "high"}
    content = messages([{"role": "user", "content": [*parts[:1], image]}])[0]["content"]
    assert content == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    as_object = {"type": "input_image", "image_url": {"url": PIXEL}}
    assert messages([{"role": "user", "content": [as_object]}])[0]["content"] == [content[1]]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "FILE:///etc/passwd", "gopher://x", "x"])
def test_an_image_url_that_no_backend_may_open_is_refused(url: str) -> None:
    part = {"type": "input_image", "image_url": url}
    error = refusal(input=[{"role": "user", "content": [part]}])
    assert error.param == "input[0].content[0].image_url"


def test_remote_images_follow_the_policy() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://e.org/a.png"}]}
    ]
    part = messages(items)[0]["content"][0]
    assert part["image_url"]["url"] == "https://e.org/a.png"
    assert isinstance(refusal(Policy(image_urls="reject"), input=items), Unsupported)


def test_an_image_for_a_blind_model_is_an_error_in_the_last_turn_only() -> None:
    image = {"role": "user", "content": [{"type": "input_image", "image_url": PIXEL}]}
    assert refusal(BLIND, input=[image]).code == "unsupported_value"
    out = messages([image, {"role": "assistant", "content": "ok"}, USER], BLIND)
    assert out[0]["content"] == "[image omitted: the model does not support image input]"
    shot = output(value=[{"type": "input_image", "image_url": PIXEL}])
    assert "image omitted" in messages([USER, call(), shot], BLIND)[2]["content"]


def test_text_files_are_read_and_others_follow_the_policy() -> None:
    text = {"type": "input_file", "filename": "a.md", "file_data": "data:text/plain;base64,SGk="}
    (message,) = messages([{"role": "user", "content": [text]}])
    assert message["content"] == '<document title="a.md">\nHi\n</document>'
    pdf = {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": "data:application/pdf;base64,AA==",
    }
    error = refusal(input=[{"role": "user", "content": [pdf]}])
    assert error.param == "input[0].content[0]" and "PDF" in error.message
    old = [{"role": "user", "content": [pdf]}, {"role": "assistant", "content": "ok"}, USER]
    assert messages(old)[0]["content"] == "[document omitted: application/pdf, 1 bytes]"


def test_file_ids_are_refused() -> None:
    for part in ({"type": "input_image", "file_id": "f"}, {"type": "input_file", "file_id": "f"}):
        assert isinstance(refusal(input=[{"role": "user", "content": [part]}]), Unsupported)


def test_audio_is_passed_on() -> None:
    audio: Any = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
    assert messages([{"role": "user", "content": [audio]}])[0]["content"] == [audio]
    audio["input_audio"]["data"] = "file:///x.wav"
    error = refusal(input=[{"role": "user", "content": [audio]}])
    assert error.param == "input[0].content[0].input_audio.data"


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("text", "text"),
        (None, ""),
        ({"a": 1}, '{"a":1}'),
        ([1, 2], "[1,2]"),
        ([], "[]"),
        ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], "a\nb"),
    ],
)
def test_outputs_of_any_form_are_text(value: Any, content: str) -> None:
    assert messages([USER, call(), output(value=value)])[2]["content"] == content


def test_an_image_in_an_output_stays_there_for_llama_cpp_and_follows_for_others() -> None:
    value = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": PIXEL}]
    items = [USER, call(), output(value=value)]
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    assert messages(items)[2]["content"] == [{"type": "text", "text": "a"}, image]
    out = messages(items, STRICT)
    assert out[2]["content"] == "a\n[image attached below]"
    assert out[3] == {"role": "user", "content": [image]}
