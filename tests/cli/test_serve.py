import socket
import threading
from types import SimpleNamespace

import pytest

from multiproxy.cli import main
from multiproxy.cli.serve import BadOption, apply, read, read_overrides
from multiproxy.config import Address, Config, Dashboard

NONE = SimpleNamespace(listen=None, dashboard=None, workers=None, log_format=None)


def changed(**options):
    return apply(Config(), options)


def test_options_override_variables_and_variables_override_the_file():
    options = SimpleNamespace(listen="0.0.0.0:1", dashboard=None, workers=None, log_format=None)
    environ = {"MULTIPROXY_LISTEN": "0.0.0.0:2", "MULTIPROXY_WORKERS": "3", "MULTIPROXY_X": "y"}
    assert read_overrides(options, environ) == {"listen": "0.0.0.0:1", "workers": "3"}
    assert read_overrides(NONE, {}) == {}


def test_every_override_changes_its_setting_and_nothing_else():
    assert changed() == Config()
    assert changed(listen="0.0.0.0:1").listen == Address("0.0.0.0", 1)
    assert changed(dashboard="[::1]:2").dashboard == Dashboard(Address("::1", 2))
    assert changed(dashboard="off").dashboard is None
    assert apply(Config(dashboard=None), {"dashboard": "127.0.0.1:9"}).dashboard == Dashboard(
        Address("127.0.0.1", 9)
    )
    assert (changed(workers="3").workers, changed(workers="auto").workers) == (3, None)
    assert changed(log_format="json").log.format == "json"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("listen", "nonsense", "error: --listen 'nonsense': needs a port"),
        ("dashboard", "::", "error: --dashboard '::': "),
        ("workers", "0", "error: --workers '0': must be auto or 1 to 32"),
        ("workers", "²", "error: --workers '²': must be auto"),
        ("log_format", "xml", "error: --log-format 'xml': must be auto, text or json"),
    ],
)
def test_a_senseless_value_names_the_option(name, value, message):
    with pytest.raises(BadOption) as refused:
        changed(**{name: value})
    assert str(refused.value).startswith(message)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("backends: [{url: 'http://127.0.0.1:1'}]\n")
    return str(path)


def test_a_bad_option_and_a_bad_file_end_with_2(config, tmp_path, capsys):
    assert main(["serve", "-c", config, "--workers", "many"]) == 2
    assert capsys.readouterr().err == "error: --workers 'many': must be auto or 1 to 32\n"
    assert main(["serve", "-c", str(tmp_path / "missing.yaml")]) == 2
    assert "cannot read the file: No such file" in capsys.readouterr().err


def test_a_taken_port_ends_with_3_and_says_how_to_find_the_holder(config, capsys):
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        assert main(["serve", "-c", config, "--listen", f"127.0.0.1:{port}"]) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"error: the API cannot listen on 127.0.0.1:{port}: Address already")
    assert f"ss -ltnp 'sport = :{port}'" in error
    assert set(threading.enumerate()) <= before, "the log's thread has ended"


def test_an_option_does_not_open_the_network_without_keys(config, capsys):
    assert main(["serve", "-c", config, "--listen", "0.0.0.0:0"]) == 2
    assert "0.0.0.0:0 can be reached by other machines" in capsys.readouterr().err
    assert main(["serve", "-c", config, "--dashboard", "0.0.0.0:0"]) == 2
    assert "it has no password" in capsys.readouterr().err


def test_an_option_may_open_the_network_with_keys(config):
    with open(config, "a") as file:
        file.write("keys: [{name: ann, key: sk-ann-0123}]\n")
    assert read(config, {"listen": "0.0.0.0:1"}).listen == Address("0.0.0.0", 1)
