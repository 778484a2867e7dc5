"""Commands of backends: how they are written, what they need, and what nobody may see."""

import pytest

from multiproxy.config import Variable, as_json
from multiproxy.config.command import filled, masked, secrets_in
from multiproxy.config.show import as_yaml


def test_a_text_is_split_into_words_and_a_list_is_not(read):
    config = read("""\
        backends:
          - command: llama-server -m "/models/my model.gguf" --port ${PORT}
          - command: [llama-server, -m, my model.gguf, --port, "${PORT}", -c, 4096]
            id: b
        """)
    first, second = config.backends
    assert first.command == ("llama-server", "-m", "/models/my model.gguf", "--port", "${PORT}")
    assert second.command == (
        "llama-server", "-m", "my model.gguf", "--port", "${PORT}", "-c", "4096",
    )  # fmt: skip
    assert (first.id, second.id) == ("managed-1", "b")
    assert (first.start, first.ttl, first.env, first.exclusive) == ("on_demand", None, (), None)


def test_a_command_over_several_lines_may_end_them_as_a_shell_does(read):
    lines = ("llama-server \\", "  -m 'a b'", "  --port=${PORT} \\", "-v")
    text = "backends:\n- command: |\n" + "".join(f"    {line}\n" for line in lines)
    (backend,) = read(text).backends
    assert backend.command == ("llama-server", "-m", "a b", "--port=${PORT}", "-v")


def test_what_a_variable_holds_stays_one_word_and_an_empty_one_is_none(read):
    environ = {"MODEL": "/m/a b; rm -rf.gguf"}
    text = "backends: [{command: 'x -m ${MODEL} ${MORE:-} -p ${PORT}', id: $${PORT}}]"
    text = text.replace(", id: $${PORT}", "")
    (backend,) = read(text, environ).backends
    assert backend.command == ("x", "-m", "/m/a b; rm -rf.gguf", "-p", "${PORT}")


def test_the_port_may_come_from_the_environment_of_the_command(read):
    text = "backends: [{command: x, env: {LLAMA_ARG_PORT: '${PORT}', N: 0, EMPTY: ''}, ttl: 5m}]"
    (backend,) = read(text).backends
    assert backend.env == (
        Variable("LLAMA_ARG_PORT", "${PORT}"), Variable("N", "0"), Variable("EMPTY", ""),
    )  # fmt: skip
    assert backend.ttl == 300
    assert filled(backend.env[0].value, 4711) == "4711"


P = "command: 'x ${PORT}'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{command: x}", "the command must hold ${PORT}, where to listen"),
        ("{command: []}", "the command is empty"),
        ("{command: 'x \"${PORT}'}", "command has a quote without end"),
        ("{command: 'x ${PORT} ${NO}'}", "environment variable NO is not set"),
        (f"{{{P}, url: http://x}}", "a backend has a url or a command, not both"),
        (f"{{{P}, simulate: true}}", "a backend has a command or is simulated, not both"),
        ("{url: http://x, ttl: 5}", "only a backend with a command has 'ttl'"),
        ("{url: http://x, env: {A: b}}", "only a backend with a command has 'env'"),
        ("{simulate: true, start: always}", "only a backend with a command has 'start'"),
        ("{url: http://x, exclusive: gpu}", "only a backend with a command has 'exclusive'"),
        (f"{{{P}, env: {{'A=B': c}}}}", "name 'A=B' must be 1 to 200 letters, digits and _,"),
        (f"{{{P}, tls: {{}}}}", "only an https backend has TLS settings"),
        (f"{{{P}, start: always, ttl: 5}}", "what always runs has no 'ttl'"),
        (
            f"{{{P}, start: always, exclusive: g}}, {{id: b, {P}, start: always, exclusive: g}}",
            "only one of those that exclude each other can always run",
        ),
    ],
)
def test_what_a_command_cannot_be(only, text, message):
    assert only(f"backends: [{text}]").message.startswith(message)


def test_values_of_options_that_sound_secret_are_masked_and_known():
    words = [
        "env", "HF_TOKEN=hf_1", "llama-server", "--api-key", "k-2", "--api-key-file", "/run/k",
        "--hf-token=t-3", "-hft", "t-4", "--port", "1", "--cache-type-k", "q8_0", "token",
    ]  # fmt: skip
    assert " ".join(masked(words)) == (
        "env HF_TOKEN=*** llama-server --api-key *** --api-key-file /run/k "
        "--hf-token=*** -hft *** --port 1 --cache-type-k q8_0 token"
    )
    assert secrets_in(words) == ["hf_1", "k-2", "t-3", "t-4"]


def test_no_secret_of_a_command_is_shown(read, error_of):
    backend = """{command: 'x --port ${PORT} --api-key sk-hidden', env: {TOKEN: hf-hidden}}"""
    config = read(f"backends: [{backend}]")
    assert "hidden" not in repr(config) + as_yaml(config, {})
    error = error_of(f"backends: [{backend[:-1]}, slot: 3}}]")
    assert "hidden" not in str(error) + repr(as_json(error.problems))
    listed = "[x, --port, '${PORT}', --api-key, sk-hidden]"
    assert "hidden" not in str(error_of(f"backends: [{{command: {listed}, slot: 3}}]"))
