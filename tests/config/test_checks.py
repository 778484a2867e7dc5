"""Contradictions between settings that are each fine alone."""

import pytest


def ids(config):
    return [backend.id for backend in config.backends]


def test_a_backend_is_named_after_its_address(read):
    assert ids(
        read("backends: [{url: http://gpu/x}, {url: https://gpu}, {url: 'http://[::1]:8080'}]")
    ) == ["gpu:80", "gpu:443", "ipv6-::1:8080"]


def test_simulated_backends_are_numbered(read):
    text = "backends: [{simulate: {}}, {url: http://gpu}, {simulate: {}, id: x}, {simulate: {}}]"
    assert ids(read(text)) == ["simulated-1", "gpu:80", "x", "simulated-3"]


def test_a_long_host_name_still_makes_an_id(read):
    host = "a" * 63 + "." + "b" * 63
    assert ids(read(f"backends: [{{url: 'http://{host}:65535'}}]")) == ["a" * 58 + ":65535"]


A = "backends: [{url: http://a, id: a}, {url: http://b, id: b}]\n"


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        ("listen: 1", 1, 1, "there must be at least one backend", None),
        ("backends:", 1, 1, "there must be at least one backend", None),
        ("backends: []", 1, 11, "there must be at least one backend", None),
        ("backends: [{id: a}]", 1, 12, "a backend needs a url", None),
        ("backends: [{id: a, simulate: false}]", 1, 12, "a backend needs a url", None),
        (
            "backends: [{url: http://a, simulate: {}}]",
            1,
            38,
            "a backend has a url or is simulated, not both",
            "",
        ),
        (
            "backends: [{url: http://a, id: x}, {url: http://b, id: x}]",
            1,
            56,
            "another backend has the same id (first on line 1)",
            "",
        ),
        (
            "backends:\n- {url: http://a}\n- {url: http://a/x}",
            3,
            9,
            "another backend has the same id (first on line 2)",
            "its id comes from its url: give it an 'id:'",
        ),
        (
            f"{A}models: {{m: [a, xyz]}}",
            2,
            17,
            "backend 'xyz' is not defined",
            "defined are: a, b",
        ),
        (f"{A}models: {{m: [a, b, a]}}", 2, 20, "backend 'a' is listed twice", ""),
        (
            f"{A}models: {{m: [], n: {{aliases: [m]}}}}",
            2,
            31,
            "'m' already names a model (first on line 2)",
            "",
        ),
        (
            f"{A}models:\n  m: {{aliases: ['x-*']}}\n  n: {{aliases: ['x-*']}}",
            4,
            17,
            "'x-*' already names a model (first on line 3)",
            "",
        ),
        (
            f"{A}models: {{qwen3: []}}\ndefault_model: qwen",
            3,
            16,
            "default_model 'qwen' is not one of the models",
            "did you mean 'qwen3'?",
        ),
        (
            f"{A}models: {{m: {{aliases: ['x*']}}}}\ndefault_model: x1",
            3,
            16,
            "default_model 'x1' is not one of the models",
            "one of: m",
        ),
        (
            f"{A}cors_origins: ['https://a', '*']",
            2,
            29,
            "'*' already allows every origin",
            "remove it, or all the others",
        ),
        (
            f"{A}listen: 127.0.0.1:8080",
            2,
            9,
            "the API and the dashboard cannot listen on the same address",
            "",
        ),
        (
            f"{A}dashboard: {{listen: 8001}}",
            2,
            21,
            "the API and the dashboard cannot listen on the same address",
            "",
        ),
        (
            "backends: [{url: http://localhost:8001}]",
            1,
            18,
            "this is the address of MultiProxy's own API",
            None,
        ),
        (
            "backends: [{url: http://127.0.0.1:8080}]",
            1,
            18,
            "this is the address of MultiProxy's own dashboard",
            None,
        ),
    ],
)
def test_a_contradiction_is_a_problem_with_its_place(only, text, line, column, message, hint):
    problem = only(text)
    assert (problem.line, problem.column, problem.message) == (line, column, message)
    assert hint is None or problem.hint == hint


def test_a_wrong_url_is_not_also_called_missing(only):
    assert only("backends: [{url: gpu}]").message == "url must be a URL"


def test_a_wrong_id_may_be_used_without_a_second_problem(only):
    text = "backends: [{url: http://a, id: 'a b'}]\nmodels: {m: ['a b']}"
    assert only(text).path == "backends.0.id"


def test_without_models_any_default_model_will_do(read_more):
    assert read_more("default_model: reported-by-a-backend").default_model == (
        "reported-by-a-backend"
    )


def test_an_alias_can_be_the_default_model(read_more):
    assert read_more("models: {m: {aliases: [x]}}\ndefault_model: x").default_model == "x"


def test_both_listeners_may_take_any_free_port(read_more):
    assert read_more("listen: 127.0.0.1:0\ndashboard: 127.0.0.1:0").listen.port == 0


def test_every_origin_may_be_allowed(read_more):
    assert read_more("cors_origins: ['*']").cors_origins == ("*",)


@pytest.mark.parametrize(
    "origin",
    [
        "a",
        "https://a/",
        "HTTPS://a",
        "ftp://a",
        "https://u@a",
        "https://*.a",
        "null",
        "https://a:x",
    ],
)
def test_what_no_browser_sends_as_origin_is_refused(only_more, origin):
    assert "must be an origin" in only_more(f"cors_origins: ['{origin}']").message


def test_256_backends_are_fine_and_257_are_not(read, only):
    lines = [f"- {{url: http://gpu-{index}}}" for index in range(257)]
    assert len(read("backends:\n" + "\n".join(lines[:256])).backends) == 256
    assert only("backends:\n" + "\n".join(lines)).message == "there can be at most 256 backends"


@pytest.mark.parametrize("key", ["a b", "a\\nb: c", "schlüssel", "\\t", "a\\x7f"])
def test_a_key_that_would_break_the_head_is_refused(only, key):
    assert "visible ASCII" in only(f'backends: [{{url: http://a, api_key: "{key}"}}]').message


@pytest.mark.parametrize("name", ["qwen/qwen3-32b:q4_K@x+1", "a" * 200, "0"])
def test_model_names_of_every_hub_are_taken(read_more, name):
    assert read_more(f"models: {{'{name}': []}}").models[0].name == name


@pytest.mark.parametrize("name", ["", "-a", "a" * 201, "a b", "ä", "a*", "a\\n"])
def test_other_model_names_are_refused(only_more, name):
    assert only_more(f'models: {{"{name}": []}}').path.startswith("models.")


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis.lan", "redis://redis.lan:6379/2", "rediss://ann:p%40ss@redis.lan:6380/0",
        "redis://:word@[::1]:6379",
    ],
)  # fmt: skip
def test_a_limit_store_is_a_redis(read_more, url):
    config = read_more(f'limits: {{store: "{url}"}}')
    assert config.limits.store == url
    assert "redis.lan" not in repr(config)


@pytest.mark.parametrize("url", ["redis.lan:6379", "http://redis.lan", "redis://a b", "redis:///1"])
def test_a_limit_store_is_nothing_else(only_more, url):
    problem = only_more(f'limits: {{store: "{url}"}}')
    assert problem.message.startswith("store must be redis://[user:password@]host")


def test_a_limit_store_needs_its_package(only_more, monkeypatch):
    monkeypatch.setattr("multiproxy.config.checks.find_spec", lambda name: None)
    problem = only_more("limits: {store: redis://redis.lan}")
    assert (problem.path, problem.message) == (
        "limits.store",
        "this needs the Python package 'redis'",
    )
