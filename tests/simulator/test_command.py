"""The command line of a simulator."""

import socket

import pytest

from multiproxy.simulator import main


def test_faults_and_scripts_come_from_the_command_line(launch, tmp_path, streams):
    scripts = tmp_path / "scripts.json"
    scripts.write_text('{"hey": ["data: hey\\n\\n", 0.001]}')
    _, port = launch("--fault", "cut:after_events=1,skip=1", "--scripts", str(scripts))
    with streams.open(port, b"@script hey") as sock:
        assert b"b\r\ndata: hey\n\n\r\n" in streams.until(sock, b"\r\n0\r\n\r\n")
    with streams.open(port) as sock:
        assert streams.rest(sock).count(b"\n\n\r\n") == 1


def test_an_unknown_fault_is_explained(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--fault", "nonsense"])
    assert ended.value.code == 2
    assert "unknown fault 'nonsense'; known: refuse, " in capsys.readouterr().err


def test_it_serves_on_an_inherited_socket(launch, streams):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        _, port = launch("--fd", str(number), "--model", "given", pass_fds=(number,))
        assert port == listener.getsockname()[1]
        with streams.open(port) as sock:
            assert b'"model":"given"' in streams.until(sock, b"content")
