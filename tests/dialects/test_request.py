"""Bodies -> what they ask for, and the bytes that a backend gets."""

import orjson
import pytest

from multiproxy.dialects.request import Request, understand
from multiproxy.errors import BodyTooLarge, InvalidJSON, InvalidRequest, Unsupported

BODY = b'{ "model" : "demo", "stream":true, "messages":[{"role":"user","content":"h\\u00e9"}] }'


def test_a_request_names_its_model_and_whether_to_stream():
    request = understand(BODY)
    assert (request.model, request.stream, request.raw) == ("demo", True, BODY)
    assert request.data["messages"][0]["content"] == "hé"


@pytest.mark.parametrize(
    ("body", "model", "stream"),
    [
        (b"{}", None, False),
        (b'{"model":null,"stream":null}', None, False),
        (b'{"model":""}', None, False),
        (b'{"model":"a","stream":false}', "a", False),
        (b'{"model":"a","model":"b","stream":true,"stream":false}', "b", False),  # the last counts
        (b' \n\t{"model":"a"}\r\n ', "a", False),
    ],
)
def test_what_is_left_out_has_a_meaning(body, model, stream):
    request = understand(body)
    assert (request.model, request.stream, request.raw) == (model, stream, body)


@pytest.mark.parametrize("value", [b"1", b"[]", b"{}", b"true", b'["a"]', b"0"])
def test_a_model_is_a_string(value):
    with pytest.raises(InvalidRequest) as error:
        understand(b'{"model":' + value + b"}")
    assert (error.value.param, error.value.code) == ("model", "invalid_type")


@pytest.mark.parametrize("value", [b"1", b'"true"', b"[]", b"0", b"{}"])
def test_stream_is_a_boolean(value):
    with pytest.raises(InvalidRequest) as error:
        understand(b'{"model":"a","stream":' + value + b"}")
    assert (error.value.param, error.value.code) == ("stream", "invalid_type")


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"true"])
def test_a_body_is_an_object(body):
    with pytest.raises(InvalidRequest) as error:
        understand(body)
    assert (error.value.status, error.value.code) == (400, "invalid_type")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1}{"b":2}',
        b'{"a":1},',
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":01}',
        b'{"a":"\x01"}',
        b'{"a":"\xff"}',
        b'{"a":"\\x"}',
        b'{"a":1,}',
        b"model=demo",
        b"\xff\xfe{\x00}\x00",
        b'{"a":' * 1100 + b"1" + b"}" * 1100,
        b"[" * 100_000,
        b'{"a":"\\ud800",' + b'"b":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":NaN,"b":"\\ud83d"}',
        b'{"a":Infinity,"b":"\\ud83d"}',
        b'{"a":"b\\ud83d',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_not_json_is_refused(body):
    with pytest.raises(InvalidJSON) as error:
        understand(body)
    assert (error.value.status, error.value.code) == (400, "invalid_json")


def of_objects(count: int) -> bytes:
    """A body of so many objects and arrays: itself, a list, and what is in it."""
    return orjson.dumps({"messages": [{}] * (count - 2)})


def test_a_request_of_so_many_objects_passes_and_one_with_one_more_does_not():
    assert len(understand(of_objects(1000), 1000).data["messages"]) == 998
    with pytest.raises(BodyTooLarge) as error:
        understand(of_objects(1001), 1000)
    assert error.value.status == 413
    assert error.value.message.startswith("The request has more than 1,000 JSON objects")


def test_brackets_in_texts_are_no_objects():
    body = orjson.dumps({"prompt": "{[" * 2500})
    assert understand(body, 1000).raw is body


def test_a_body_of_nothing_but_brackets_is_refused_before_it_is_parsed():
    with pytest.raises(BodyTooLarge):
        understand(b'{"a":[' + b"{}," * 20_000 + b"no JSON", 1000)


def test_an_empty_body_is_told_so():
    with pytest.raises(InvalidJSON, match="the body is empty"):
        understand(b" \n")


def test_large_integers_are_floats_in_both_parsers():
    number = 123456789012345678901234567890
    assert understand(b'{"a":%d}' % number).data == {"a": float(number)}
    assert understand(b'{"a":%d,"b":"\\ud800"}' % number).data["a"] == float(number)
    assert understand(b'{"a":%d,"b":"\\ud800"}' % (2**63)).data["a"] == 2**63


@pytest.mark.parametrize("name", ["api_base", "base_url", "api_key", "extra_headers"])
def test_a_request_does_not_choose_its_upstream(name):
    with pytest.raises(Unsupported) as error:
        understand(orjson.dumps({"model": "demo", name: "http://evil.example"}))
    assert error.value.param == name


# -- the bytes that go on ------------------------------------------------------------------


def test_the_original_bytes_go_on_when_the_name_stays():
    assert understand(BODY).body_for("demo") is BODY
    nameless = b'{"messages":[]}'
    assert understand(nameless).body_for(None) is nameless


def test_another_name_replaces_only_the_model():
    sent = orjson.loads(understand(BODY).body_for("demo-q4"))
    assert sent == {**orjson.loads(BODY), "model": "demo-q4"}
    assert orjson.loads(understand(b'{"n":1}').body_for("x")) == {"n": 1, "model": "x"}


def test_a_repeated_model_is_sent_once_when_it_is_replaced():
    sent = understand(b'{"model":"a","model":"b"}').body_for("c")
    assert sent == b'{"model":"c"}'


def test_a_byte_order_mark_is_not_sent_on():
    request = understand(b"\xef\xbb\xbf" + BODY)
    assert (request.model, request.raw) == ("demo", b"")
    assert orjson.loads(request.body_for("demo")) == orjson.loads(BODY)


def test_a_lone_surrogate_is_replaced():
    request = understand(b'{"model":"demo","prompt":"a\\ud83d"}')
    assert request.raw == b""
    assert orjson.loads(request.body_for("demo")) == {"model": "demo", "prompt": "a\ufffd"}


def test_what_cannot_be_written_again_is_refused_only_if_it_must_be():
    body = b'{"a":' * 300 + b"1" + b"}" * 300
    request = understand(body)
    assert request.body_for(None) is body
    with pytest.raises(InvalidJSON):
        request.body_for("other")


def test_a_request_without_a_body_has_none():
    assert Request(model="demo").body_for("demo") == b'{"model":"demo"}'
