"""Which running MultiProxy is meant, and what is said when there is none."""

import argparse
import json
import socket
import threading
import time

import pytest
from cli.answering import dashboard

from multiproxy.cli import main
from multiproxy.cli.instance import PASSWORD_VARIABLE, Instance, Refused, Unavailable, find_instance
from multiproxy.supervisor.dashboard.login import Login

FOUND = "backends: [{url: 'http://127.0.0.1:9'}]\ndashboard: 127.0.0.1:9099\n"


def options(url=None, config=None):
    return argparse.Namespace(url=url, config=config)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FOUND)
    return str(path)


def test_an_option_goes_before_the_environment_and_that_before_the_config(config):
    environ = {"MULTIPROXY_URL": "http://10.0.0.1:8080"}
    assert find_instance(options("h:1", config), environ).url == "http://h:1"
    assert find_instance(options(None, config), environ).url == "http://10.0.0.1:8080"
    assert find_instance(options(None, config), {}).url == "http://127.0.0.1:9099"
    override = {"MULTIPROXY_DASHBOARD": "127.0.0.1:7"}
    assert find_instance(options(None, config), override).url == "http://127.0.0.1:7"


def test_every_interface_is_asked_at_the_loopback_one(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("backends: [{simulate: {}}]\ndashboard: {listen: '0.0.0.0:90', auth: none}\n")
    assert find_instance(options(None, str(path)), {}).url == "http://127.0.0.1:90"


def test_without_a_config_it_is_the_default_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert find_instance(options(), environ).url == "http://127.0.0.1:8080"


def test_a_file_with_mistakes_does_not_lock_its_editor_out(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("backend: []\n")
    assert find_instance(options(None, str(path)), {}).url == "http://127.0.0.1:8080"
    assert "has mistakes" in capsys.readouterr().err


def test_a_dashboard_that_is_off_cannot_be_asked(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("dashboard: false\nbackends: [{simulate: {}}]\n")
    with pytest.raises(Unavailable, match="off") as error:
        find_instance(options(None, str(path)), {})
    assert error.value.code == 2


@pytest.mark.parametrize("command", ["status", "top", "tail", "drain x", "resume x", "reload"])
def test_when_nothing_listens_the_address_and_the_way_out_are_named(command, capsys):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert main([*command.split(), "--url", url]) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert url in shown.err and "multiproxy serve" in shown.err and "refused" in shown.err


def test_another_program_at_the_address_is_not_taken_for_one(capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            client, _ = server.accept()
            client.recv(10_000)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            client.close()

        threading.Thread(target=answer, daemon=True).start()
        assert main(["status", "--url", f"http://127.0.0.1:{server.getsockname()[1]}"]) == 4
    assert "is no MultiProxy" in capsys.readouterr().err


def test_a_password_is_given_when_it_is_asked_for():
    login = Login(time.monotonic, password="open sesame")
    with dashboard(login=login) as (url, told):
        instance = Instance(url, "open sesame")
        assert instance.get("overview")["health"]["ready"] is True
        instance.act("drain", id="gpu-a")
        assert told.calls == [("drain", "gpu-a")]
        with pytest.raises(Unavailable, match=PASSWORD_VARIABLE) as error:
            Instance(url).get("overview")
        assert error.value.code == 1


def test_the_link_of_the_log_signs_one_command_in():
    links = []
    login = Login(time.monotonic, on_link=links.append)
    with dashboard(login=login) as (url, told):
        instance = Instance(url + links[0])
        assert instance.url == url
        assert instance.get("overview")["health"]["ready"] is True
        instance.act("drain", id="gpu-a")
        assert told.calls == [("drain", "gpu-a")]
        assert len(links) == 2
        with pytest.raises(Unavailable, match="the log has the next one") as error:
            Instance(url + links[0]).get("overview")
        assert error.value.code == 1
        with pytest.raises(Unavailable, match="give the link from its log as --url"):
            Instance(url).get("overview")
        assert Instance(url + links[1]).get("overview")["health"]["ready"] is True


def test_what_does_not_exist_is_refused_with_its_reason():
    with dashboard() as (url, _), pytest.raises(Refused, match="not kept any more") as error:
        Instance(url).get("requests/nope")
    assert error.value.status == 404


def test_json_is_what_the_dashboard_says(capsys):
    with dashboard() as (url, _):
        assert main(["status", "--json", "--url", url]) == 0
    body = json.loads(capsys.readouterr().out)
    assert len(body["backends"]) == 5
