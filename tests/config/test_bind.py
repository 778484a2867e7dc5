"""From written settings to dataclasses: short forms, defaults, and what cannot be bound."""

import pytest

from multiproxy.config import (
    Address,
    Backend,
    Config,
    Dashboard,
    Key,
    Limits,
    Model,
    Retry,
    Simulate,
    Url,
)

SETTINGS_OF_RETRY = "one of: attempts, budget, mode, after_commit"


def test_the_smallest_config_has_every_default(read):
    config = read("backends:\n  - url: http://gpu:8080\n")
    assert config == Config(backends=(Backend("gpu:8080", Url("http", "gpu", 8080)),))


def test_every_setting_can_be_written(read):
    config = read("""\
        listen: 0.0.0.0:9001
        dashboard: {listen: "[::1]:9000", password: open sesame, auth: token}
        keys:
          - name: ann
            key: sk-ann-12
            models: [m, "z*"]
            max_concurrent: 2
            requests_per_minute: 3
            tokens_per_minute: 4
            tokens_per_day: 5
            priority: batch
        workers: 3
        backends:
          - {id: a, url: https://a/x, api_key: k, slots: 2, context_size: 4096, weight: 5,
             dialects: native}
          - id: b
            simulate:
              {model: m, slots: 1, context_size: 512, tokens_per_second: 1.5,
               prompt_tokens_per_second: 10, load_time: 2s}
        models:
          m: {backends: [a, b], aliases: [x, "y-*"], send_as: z}
        default_model: x
        allowed_hosts: [llm.example.org]
        cors_origins: ["https://chat.example.org", "http://localhost:3000"]
        timeouts: {connect: 1s, first_event: 2m, idle: 3, stream: 1d}
        retry: {attempts: 1}
        limits: {body: 1MB, head: 8KiB, fields: 50}
        log: {format: json}
        """)
    assert config.listen == Address("0.0.0.0", 9001)
    assert config.dashboard == Dashboard(Address("::1", 9000), "open sesame", "token")
    digest = "sha256:35bc35bd22d928a51db1b31eb4d9513d32d90aec6b03f57c0b988bf9f4cbeea8"
    assert config.keys == (Key("ann", digest, ("m", "z*"), 2, 3, 4, 5, "batch"),)
    assert config.workers == 3
    assert config.backends == (
        Backend("a", Url("https", "a", 443, "/x"), "k", 2, 4096, 5, "native"),
        Backend("b", simulate=Simulate("m", 1, 512, 1.5, 10.0, 2.0)),
    )
    assert config.models == (Model("m", ("a", "b"), ("x", "y-*"), "z"),)
    assert config.default_model == "x"
    assert config.allowed_hosts == ("llm.example.org",)
    assert config.cors_origins == ("https://chat.example.org", "http://localhost:3000")
    assert (config.timeouts.connect, config.timeouts.first_event) == (1.0, 120.0)
    assert (config.timeouts.idle, config.timeouts.stream) == (3.0, 86400.0)
    assert config.retry.attempts == 1
    assert config.limits == Limits(body=1_000_000, head=8192, fields=50)
    assert config.log.format == "json"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dashboard: 127.0.0.1:9", Dashboard(Address("127.0.0.1", 9))),
        ("dashboard: 9", Dashboard(Address("127.0.0.1", 9))),
        ("dashboard: {listen: 9}", Dashboard(Address("127.0.0.1", 9))),
        ("dashboard: {}", Dashboard()),
        ("dashboard: true", Dashboard()),
        ("dashboard:", Dashboard()),
        ("dashboard: false", None),
        ("dashboard: off", None),
        ("dashboard: ${SWITCH}", None),
    ],
)
def test_the_dashboard_is_an_address_or_a_section_or_off(read_more, text, expected):
    assert read_more(text, {"SWITCH": "false"}).dashboard == expected


@pytest.mark.parametrize("written", ["simulate: {}", "simulate: true"])
def test_a_simulated_backend_needs_no_settings(read, written):
    assert read(f"backends: [{{{written}}}]").backends == (
        Backend("simulated-1", simulate=Simulate()),
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[gpu:8080]", Model("m", ("gpu:8080",))),
        ("[]", Model("m")),
        ("{}", Model("m")),
        ("", Model("m")),
        ("{backends: [gpu:8080], send_as: n}", Model("m", ("gpu:8080",), (), "n")),
    ],
)
def test_a_model_is_a_list_of_backends_or_a_section(read_more, written, expected):
    assert read_more(f"models: {{m: {written}}}").models == (expected,)


@pytest.mark.parametrize("mode", ["generation", "connect-only", "off"])
def test_a_mode_of_retrying_needs_no_section(read_more, mode):
    assert read_more(f"retry: {mode}").retry == Retry(3, 0.2, mode)
    assert read_more(f"retry: {{mode: {mode}, budget: 0}}").retry == Retry(3, 0.0, mode)


@pytest.mark.parametrize("empty", ["", "~", "null", "${NOPE:-}", "{}"])
def test_a_section_without_content_has_its_defaults(read_more, empty):
    assert read_more(f"limits: {empty}") == read_more("")


def test_auto_leaves_a_number_to_be_found_out(read):
    config = read("""\
        workers: auto
        backends: [{url: http://gpu, slots: auto, context_size: "${N}"}]
        """, {"N": "auto"})  # fmt: skip
    assert (config.workers, config.backends[0].slots) == (None, None)
    assert config.backends[0].context_size is None


@pytest.mark.parametrize("name", ["no", "1", "1.10", "null", "2001-01-01", "1:30", "0x10"])
def test_a_name_is_the_text_that_is_written_whatever_yaml_makes_of_it(read, name):
    config = read(f"backends: [{{url: http://gpu, id: '{name}'}}]\nmodels: {{{name}: ['{name}']}}")
    assert (config.backends[0].id, config.models[0]) == (name, Model(name, (name,)))


def test_a_name_like_a_number_needs_no_quotes(read):
    assert read("backends: [{url: http://gpu, id: 1.10}]").backends[0].id == "1.10"


def test_a_variable_may_stand_for_any_kind_of_value(read):
    environ = {"URL": "https://gpu", "SLOTS": "3", "IDLE": "5m"}
    config = read("""\
        backends: [{url: "${URL}/x", slots: "${SLOTS}", api_key: "${file:/key}"}]
        timeouts: {idle: "${IDLE}"}
        """, environ, {"/key": "sk-1\n"})  # fmt: skip
    assert str(config.backends[0].url) == "https://gpu/x"
    assert (config.backends[0].slots, config.backends[0].api_key) == (3, "sk-1")
    assert config.timeouts.idle == 300.0


def test_a_variable_cannot_add_settings(only):
    assert only("backends: ['${X}']", {"X": "{url: http://gpu}"}).message == (
        "an entry of backends must be a section of settings"
    )


def test_an_empty_api_key_is_no_api_key(read):
    assert read("backends: [{url: http://gpu, api_key: '${KEY:-}'}]").backends[0].api_key is None


@pytest.mark.parametrize(
    ("text", "column", "path", "message", "hint"),
    [
        ("listn: 1", 1, "listn", "unknown setting 'listn'", "did you mean 'listen'?"),
        ("retry: {tries: 1}", 9, "retry.tries", "unknown setting 'tries'", SETTINGS_OF_RETRY),
        ("retry: 3", 8, "retry.mode", "mode can't be '3'", None),
        ("retry: [3]", 8, "retry", "retry must be a section of settings", SETTINGS_OF_RETRY),
        (
            "retry: {attempts: x}",
            19,
            "retry.attempts",
            "attempts must be a whole number",
            "digits only, without separators or a leading 0",
        ),
        (
            "workers: many",
            10,
            "workers",
            "workers must be a whole number or auto",
            "digits only, without separators or a leading 0",
        ),
        ("retry: {attempts: auto}", 19, "retry.attempts", "attempts must be a whole number", None),
        ("workers: 0", 10, "workers", "workers must be at least 1", ""),
        ("workers: 33", 10, "workers", "workers must be at most 32", ""),
        ("limits: {body: 0}", 16, "limits.body", "body must be at least 1 byte", ""),
        ("timeouts: {idle: 0}", 18, "timeouts.idle", "idle must be at least 0.001 s", ""),
        ("timeouts: {idle: 31d}", 18, "timeouts.idle", "idle must be at most 2592000 s", ""),
        (
            "log: {format: jsn}",
            15,
            "log.format",
            "format can't be 'jsn'",
            "did you mean 'json'? one of: auto, text, json",
        ),
        (
            "log: {format: pretty}",
            15,
            "log.format",
            "format can't be 'pretty'",
            "one of: auto, text, json",
        ),
        ("listen: {port: 1}", 9, "listen", "listen must be a single value", ""),
        (
            "allowed_hosts: a",
            16,
            "allowed_hosts",
            "allowed_hosts must be a list",
            "[a, b], or one line '- a' for each",
        ),
        (
            "allowed_hosts: ['']",
            17,
            "allowed_hosts.0",
            "an entry of allowed_hosts is empty",
            "",
        ),
        (
            "allowed_hosts: [a, A.example]",
            20,
            "allowed_hosts.1",
            "an entry of allowed_hosts must be a lower-case host name or an address without a port "
            "(IPv6 in brackets)",
            "",
        ),
        ("models: [m]", 9, "models", "models must be a section", "one 'name: ...' for each"),
        (
            "models: {m: gpu}",
            13,
            "models.m",
            "m must be a list or a section",
            "[a, b] for its backends, or settings",
        ),
        ("models: {m: {nam: x}}", 14, "models.m.nam", "unknown setting 'nam'", None),
        (
            "models: {'${M}': []}",
            10,
            "models.${M}",
            "name '${M}' must be 1 to 200 letters, digits and . _ : / @ + -, starting with a "
            "letter or digit",
            "variables are read in values, not in keys",
        ),
        ("? [a]\n: 1", 3, "", "a key must be text", ""),
        ("log: {}\nlog: {}", 1, "log", "'log' is set twice (first on line 2)", ""),
    ],
)
def test_what_cannot_be_bound_is_a_problem_with_its_place(
    only_more, text, column, path, message, hint
):
    problem = only_more(text)
    assert (problem.column, problem.path, problem.message) == (column, path, message)
    assert hint is None or problem.hint == hint


@pytest.mark.parametrize("text", ["just text", "- a\n- b", "[]"])
def test_a_file_without_settings_is_one_problem(only, text):
    problem = only(text)
    assert (problem.line, problem.message) == (1, "the file must be settings, 'key: value'")


def test_every_problem_is_found_in_the_order_of_the_file(error_of):
    error = error_of("""\
        backends:
          - id: gpu a
            url: gpu:8080
            slot: 4
          - url: http://b
        models:
          m: {backends: [gpu-c, gpu a, 'b:80']}
        retry: {attempts: none}
        """)
    assert [(found.line, found.column, found.path) for found in error.problems] == [
        (2, 9, "backends.0.id"),
        (3, 10, "backends.0.url"),
        (4, 5, "backends.0.slot"),
        (7, 18, "models.m.backends.0"),
        (8, 19, "retry.attempts"),
    ]


def test_a_variable_without_a_value_is_pointed_at_inside_its_text(error_of):
    error = error_of("backends: [{url: 'http://${HOST}:${PORT}'}]")
    assert [(found.column, found.end_column, found.message) for found in error.problems] == [
        (26, 33, "environment variable HOST is not set"),
        (34, 41, "environment variable PORT is not set"),
    ]


SECRET = "s3cret-value"


@pytest.mark.parametrize(
    "text",
    [
        "backends: [{url: http://a, api_key: '${S} '}]",
        "backends: [{url: '${S}'}]",
        "backends: [{url: 'http://${S}@a'}]",
        "backends: [{url: http://a, id: '${S} '}]",
        "backends: [{url: http://a, id: '${S}'}, {url: http://b, id: '${S}'}]",
        "backends: [{url: 'http://${S}'}, {url: 'http://${S}'}]",
        "backends: [{url: http://a, id: '${S}'}]\nmodels: {m: ['${S}x']}",
        "backends: [{url: 'http://${S}'}]\nmodels: {m: [s3cret-valu]}",
        "backends: [{url: http://a, id: a}]\nmodels: {m: ['${S}']}",
        "backends: [{url: http://a, id: a}]\nmodels: {m: {aliases: ['${S}', '${S}']}}",
        "backends: [{url: http://a, id: a}]\nmodels: {m: {aliases: ['${S}']}}\ndefault_model: x",
        "backends: [{url: http://a}]\nmodels: {m: []}\ndefault_model: '${S}'",
        "backends: [{url: http://a}]\nlog: {format: '${S}'}",
        "backends: [{url: http://a}]\nretry: {attempts: '${S}'}",
        "backends: [{url: http://a}]\ntimeouts: {idle: '${S}'}",
        "backends: [{url: http://a}]\nlimits: {body: '${S}'}",
        "backends: [{url: http://a}]\nretry: '${S}'",
        "backends: [{url: http://a}]\ndashboard: '${S}'",
        "backends: ['${S}']",
    ],
)
@pytest.mark.parametrize("name", ["S", "file:/s"])
def test_the_value_of_a_variable_is_in_no_problem(error_of, text, name):
    error = error_of(text.replace("${S}", f"${{{name}}}"), {"S": SECRET}, {"/s": SECRET})
    assert error.problems
    assert SECRET not in str(error) + repr(error) + repr(error.problems)


def test_a_key_in_the_file_is_blanked_out_of_the_quoted_source(error_of):
    error = error_of("backends: [{url: x, api_key: sk-1234, slot: 1}, {api_key: [sk-5]}]")
    assert "sk-" not in str(error)
    assert "[{url: x, api_key: *******, slot: 1}, {api_key: ******}]" in str(error)


def test_a_file_of_another_program_is_given_up_early(error_of):
    error = error_of("\n".join(f"key{index}: 1" for index in range(5000)))
    assert len(error.problems) == 100
    assert error.problems[0].line == 1


def test_a_problem_seen_through_an_alias_is_told_once(only):
    text = "backends: [{url: http://a, slots: &n x}, {url: http://b, slots: *n}]"
    assert only(text).column == 35
