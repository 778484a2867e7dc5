"""Each kind of value: what is read, and what is not, however near."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiproxy.config import Address, Url
from multiproxy.config.units import (
    Malformed,
    address,
    duration,
    flag,
    number,
    size,
    url,
    whole,
)

# What Python's own int() or float() would take, or a shell, or YAML 1.1.
LENIENT = [
    "1_0",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "١",
    "1e3",
    "0x10",
    "010",
    "1:30",
    "",
    "inf",
    "nan",
    "--1",
]


@pytest.mark.parametrize("read", [whole, number, duration, size])
@pytest.mark.parametrize("text", LENIENT)
def test_no_number_is_read_leniently(read, text):
    with pytest.raises(Malformed):
        read(text)


@pytest.mark.parametrize("read", [whole, number, duration, size, address, url])
def test_an_endless_number_is_refused_and_not_computed(read):
    with pytest.raises(Malformed):
        read("9" * 5000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("2", 2.0),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("4035ms", 4.035),
        ("30s", 30.0),
        ("1.5m", 90.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
    ],
)
def test_a_duration_is_in_seconds(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["-1", "1S", "1 s", "s", "1us", "1h30m", ".5s", "1.s"])
def test_other_durations_are_refused(text):
    with pytest.raises(Malformed):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("7", 7),
        ("7B", 7),
        ("16KB", 16_000),
        ("16kB", 16_000),
        ("32MB", 32_000_000),
        ("1GB", 1_000_000_000),
        ("16KiB", 16_384),
        ("32MiB", 33_554_432),
        ("1GiB", 1_073_741_824),
    ],
)
def test_a_size_is_in_bytes_with_binary_units_spelled_out(text, count):
    assert size(text) == count


@pytest.mark.parametrize("text", ["-1", "1.5MB", "1 MB", "1mb", "1M", "1Mib", "1KBKB"])
def test_other_sizes_are_refused(text):
    with pytest.raises(Malformed):
        size(text)


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "yes", "on"])
def test_yes_is_true(text):
    assert flag(text) is True


@pytest.mark.parametrize("text", ["false", "No", "OFF"])
def test_no_is_false(text):
    assert flag(text) is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8001", Address("127.0.0.1", 8001)),
        ("8001", Address("127.0.0.1", 8001)),
        ("0.0.0.0:0", Address("0.0.0.0", 0)),
        ("[::]:8001", Address("::", 8001)),
        ("[0:0:0:0:0:0:0:1]:1", Address("::1", 1)),
        ("LLM.Example.org:65535", Address("llm.example.org", 65535)),
        ("my_box:80", Address("my_box", 80)),
    ],
)
def test_an_address_is_a_host_and_a_port(text, expected):
    assert address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "localhost",
        "[::1]",
        "::1:8001",
        ":8001",
        "*:8001",
        "host:",
        "host:65536",
        "65536",
        "host:+1",
        "host:١",
        "256.1.1.1:80",
        "10.1:80",
        "010.0.0.1:80",
        "[fe80::1%eth0]:80",
        "[1.2.3.4]:80",
        "bücher:80",
        "a..b:80",
        "-a:80",
        "a b:80",
        "a/b:80",
    ],
)
def test_other_addresses_are_refused(text):
    with pytest.raises(Malformed):
        address(text)


@pytest.mark.parametrize("text", ["127.0.0.1:8001", "[::1]:8001", "a.b:1"])
def test_an_address_is_shown_as_it_is_written(text):
    assert str(address(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://gpu:8080", Url("http", "gpu", 8080)),
        ("http://gpu", Url("http", "gpu", 80)),
        ("https://gpu/", Url("https", "gpu", 443)),
        ("HTTP://GPU:8080/Llama/", Url("http", "gpu", 8080, "/Llama")),
        ("http://[::1]:8080/a/b-%20", Url("http", "::1", 8080, "/a/b-%20")),
        ("http://10.0.0.11:8080", Url("http", "10.0.0.11", 8080)),
    ],
)
def test_a_url_has_a_scheme_a_host_a_port_and_a_prefix(text, expected):
    assert url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "gpu:8080",
        "//gpu",
        "ftp://gpu",
        "unix:///run/x",
        "http://",
        "http:///x",
        "http://:8080",
        "http://user@gpu",
        "http://user:pw@gpu",
        "http://gpu?x=1",
        "http://gpu/#x",
        "http://gpu:",
        "http://gpu:0",
        "http://gpu:99999",
        "http://gpu/a//b",
        "http://gpu//",
        "http://gpu/../x",
        "http://gpu/./x",
        "http://gpu/%2",
        "http://gpu/a b",
        "http://gpu/a\r\nX: y",
        "http://gpu\\@other",
        "http://g\nu",
        "http://0x7f.1",
        "http://[::1",
        "http://::1",
        " http://gpu",
    ],
)
def test_other_urls_are_refused(text):
    with pytest.raises(Malformed):
        url(text)


def test_a_password_in_a_url_is_told_where_to_go():
    with pytest.raises(Malformed) as caught:
        url("http://user:pw@gpu")
    assert caught.value.reason == "must not hold a user name or password"
    assert caught.value.hint == "put the key in api_key"


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("http://gpu", "gpu"),
        ("http://gpu:443", "gpu:443"),
        ("https://gpu:443", "gpu"),
        ("http://[::1]:80/x", "[::1]"),
        ("http://[::1]:81", "[::1]:81"),
    ],
)
def test_the_authority_is_what_a_browser_would_send_as_host(text, authority):
    assert url(text).authority == authority


@given(st.text(max_size=40))
def test_any_text_is_a_value_or_malformed(text):
    for read in (whole, number, duration, size, flag, address, url):
        try:
            read(text)
        except Malformed as problem:
            assert problem.reason


@pytest.mark.parametrize("read", [whole, number, duration, size, flag, address, url])
@pytest.mark.parametrize(
    "text", ["s3cret", "http://u:s3cret@h", "ftp://s3cret", "s3cret!:x", "1s3cret"]
)
def test_no_message_repeats_the_text(read, text):
    with pytest.raises(Malformed) as caught:
        read(text)
    assert "s3cret" not in caught.value.reason + caught.value.hint + str(caught.value)


@given(st.from_regex(r"\Ahttps?://[a-z0-9.:@/?#\[\]%\\-]{1,30}\Z"))
def test_a_url_that_is_read_is_read_again_from_its_text(text):
    try:
        parsed = url(text)
    except Malformed:
        return
    assert url(str(parsed)) == parsed
