"""Names that stand for servers: how they are written, and what they become."""

import pytest

from multiproxy.config import ConfigError, Url
from multiproxy.config.discovered import Place, expand, sought
from multiproxy.config.units import Malformed, url

TEXT = """
backends:
  - {id: fixed, url: "http://10.0.0.9:1"}
  - {id: llama, url: "dns+http://llama:8080/x", weight: 3, api_key: sk-1}
models:
  m: [llama, fixed]
  n: [fixed]
  o:
"""
LLAMA = Url("http", "llama", 8080, "/x", "dns")


def test_the_two_forms_and_how_they_are_written_back():
    assert url("dns+http://LLAMA:8080/x") == LLAMA
    assert url("dns+srv://_llama._tcp.example.org") == Url(
        "http", "_llama._tcp.example.org", 0, "", "srv"
    )
    for text in ("dns+http://llama:8080/x", "dns+srv://_llama._tcp.example.org/x"):
        assert str(url(text)) == text


@pytest.mark.parametrize(
    "text", ["dns+https://llama", "dns+srv://llama:80", "dns+http://10.0.0.1", "dns+http://[::1]:1"]
)
def test_what_cannot_be_looked_up_is_refused(text):
    with pytest.raises(Malformed):
        url(text)


def test_every_address_is_a_backend_with_the_settings_of_its_name(read):
    config = read(TEXT)
    assert sought(config) == [LLAMA]
    found = expand(config, {LLAMA: (Place("10.0.0.1", 8080), Place("fd00::2", 8080))})
    assert [(each.id, str(each.url)) for each in found.backends] == [
        ("fixed", "http://10.0.0.9:1"),
        ("llama-10.0.0.1", "http://10.0.0.1:8080/x"),
        ("llama-fd00::2", "http://[fd00::2]:8080/x"),
    ]
    assert {(each.weight, each.api_key) for each in found.backends[1:]} == {(3, "sk-1")}
    assert sought(found) == []


def test_models_follow_the_backends_they_list(read):
    config = read(TEXT)
    found = expand(config, {LLAMA: (Place("10.0.0.1", 8080), Place("10.0.0.2", 8080))})
    assert [model.backends for model in found.models] == [
        ("llama-10.0.0.1", "llama-10.0.0.2", "fixed"),
        ("fixed",),
        (),
    ]


def test_a_name_without_servers_stays_one_backend_so_that_its_models_keep_it(read):
    found = expand(read(TEXT), {})
    assert [(each.id, str(each.url)) for each in found.backends][1] == (
        "llama",
        "http://llama:8080/x",
    )
    assert found.models[0].backends == ("llama", "fixed")


def test_servers_of_a_service_are_told_apart_by_their_ports(read):
    config = read("backends: [{url: 'dns+srv://_llama._tcp.example.org'}]")
    (service,) = sought(config)
    found = expand(config, {service: (Place("10.0.0.1", 1), Place("10.0.0.1", 2))})
    assert [each.id for each in found.backends] == [
        "llama._tcp.example.org-10.0.0.1:1",
        "llama._tcp.example.org-10.0.0.1:2",
    ]


def test_an_id_never_grows_too_long_and_keeps_the_address(read):
    config = read(f"backends: [{{id: {'a' * 64}, url: 'dns+http://llama'}}]")
    (name,) = sought(config)
    (one,) = expand(config, {name: (Place("10.0.0.1", 80),)}).backends
    assert len(one.id) == 64 and one.id.endswith("a-10.0.0.1")


def test_two_backends_with_the_same_name_are_still_told_apart(error_of):
    assert isinstance(error_of("backends: [{url: dns+http://a}, {url: dns+http://a}]"), ConfigError)
