"""Keys and what may be reached without one."""

import hashlib

import pytest

from multiproxy.config import BackendTls, Config, Key, Tls, decode, encode, load

BACKEND = "backends: [{url: http://gpu:8080}]\n"
ANN = "keys: [{name: ann, key: sk-ann-0123}]\n"


def test_a_key_is_kept_as_its_digest_wherever_it_is_written(read_more):
    expected = "sha256:" + hashlib.sha256(b"sk-ann-0123").hexdigest()
    environ, files = {"ANN": "sk-ann-0123"}, {"/run/ann": "sk-ann-0123\n"}
    for written in ("sk-ann-0123", "'${ANN}'", "'${file:/run/ann}'", expected):
        config = read_more(f"keys: [{{name: ann, key: {written}}}]", environ, files)
        assert config.keys[0].key == expected
        assert b"sk-ann-0123" not in encode(config)
        assert decode(encode(config))[0].keys == config.keys
        assert expected not in repr(config)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("keys: [{name: a, key: sk-ann}]", 2, 23, "key must be 8 to 4096 visible ASCII"),
        ("keys: [{name: a, key: 'sk ann 0123'}]", 2, 23, "key must be 8 to 4096 visible ASCII"),
        ("keys: [{name: 'a b', key: sk-ann-0123}]", 2, 15, "name must be 1 to 32 letters"),
        ("keys: [{name: a}]", 2, 8, "'key' is required here"),
        ("keys: [{key: sk-ann-0123}]", 2, 8, "'name' is required here"),
        (
            "keys: [{name: a, key: sk-ann-0123}, {name: a, key: sk-bob-0123}]",
            2,
            44,
            "another key has the same name (first on line 2)",
        ),
        (
            "keys: [{name: a, key: sk-ann-0123}, {name: b, key: sk-ann-0123}]",
            2,
            52,
            "another key has the same key (first on line 2)",
        ),
        (
            "models: {big: []}\nkeys: [{name: a, key: sk-ann-0123, models: [bigg]}]",
            3,
            45,
            "'bigg' is not one of the models",
        ),
        ("keys: [{name: a, key: sk-ann-0123, priority: high}]", 2, 46, "can't be 'high'"),
    ],
)
def test_a_wrong_key_is_told_by_its_place_and_never_shown(
    error_of, only_more, text, line, column, message
):
    problem = only_more(text)
    assert (problem.line, problem.column) == (line, column)
    assert message in problem.message
    assert "sk-ann" not in str(error_of(BACKEND + text))


@pytest.mark.parametrize("address", ["0.0.0.0:8001", "'[::]:8001'", "10.0.0.1:8001", "gpu:8001"])
def test_without_keys_only_loopback_may_be_listened_on(only_more, address):
    problem = only_more(f"listen: {address}")
    assert (problem.line, problem.column, problem.path) == (2, 9, "listen")
    assert "can be reached by other machines, and there are no keys" in problem.message
    assert "allow_anonymous: true" in problem.hint


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.1.2.3:1", "localhost:1", "'[::1]:1'", "1"])
def test_loopback_needs_no_keys(read_more, address):
    assert read_more(f"listen: {address}").keys == ()


def test_keys_or_a_written_wish_open_the_network(read_more):
    assert read_more(f"listen: 0.0.0.0:1\n{ANN}").keys[0].name == "ann"
    assert read_more("listen: 0.0.0.0:1\nallow_anonymous: true").allow_anonymous


def test_a_mistake_in_the_keys_is_not_reported_as_their_absence(only_more):
    assert "8 to 4096" in only_more("listen: 0.0.0.0:1\nkeys: [{name: ann, key: short}]").message


def test_the_dashboard_beyond_loopback_needs_a_password_or_a_written_wish(read_more, only_more):
    problem = only_more("dashboard: 0.0.0.0:8080")
    assert "it has no password" in problem.message and "auth: none" in problem.hint
    for more in ("password: open sesame", "auth: none", "auth: token"):
        assert read_more(f"dashboard: {{listen: 0.0.0.0:8080, {more}}}").dashboard is not None


def test_a_password_is_neither_in_the_repr_nor_in_a_quoted_line(read_more, error_of):
    text = "dashboard: {listen: 1, password: open-sesame, auth: "
    assert "open-sesame" not in repr(read_more(text + "token}"))
    assert "open-sesame" not in str(error_of(BACKEND + text + "maybe}"))


def test_by_default_a_key_may_run_16_generations_of_any_model():
    key = Key("ann", "sk-ann-0123")
    assert (key.models, key.max_concurrent, key.priority) == (("*",), 16, "normal")
    assert (key.requests_per_minute, key.tokens_per_minute, key.tokens_per_day) == (None,) * 3
    assert Config().keys == ()


def test_files_of_certificates_are_found_beside_the_config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "backends: [{url: https://gpu, tls: {ca: ca.pem, verify: false, server_name: gpu.test}}]\n"
        "tls: {cert: tls/cert.pem, key: /etc/key.pem}\n"
    )
    config = load(path)
    assert config.tls == Tls(str(tmp_path / "tls/cert.pem"), "/etc/key.pem")
    assert config.backends[0].tls == BackendTls(str(tmp_path / "ca.pem"), False, "gpu.test")


def test_a_certificate_needs_its_key(only_more):
    problem = only_more("tls: {cert: cert.pem}")
    assert (problem.line, problem.message) == (2, "'key' is required here")


@pytest.mark.parametrize("backend", ["url: http://gpu", "simulate: {}"])
def test_only_https_has_settings_of_tls(only, backend):
    problem = only(f"backends: [{{{backend}, tls: {{verify: false}}}}]")
    assert problem.message == "only an https backend has TLS settings"
