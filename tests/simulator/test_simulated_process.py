"""A simulator as a process of its own: started, told to end, orphaned, killed."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

RUN = "import sys; from multiproxy.simulator import main; sys.exit(main(sys.argv[1:]))"
STREAM = (
    b'{"stream":true,"ignore_eos":true,"messages":[{"role":"user","content":"%b"}],"model":"any"}'
)


@pytest.fixture
def launch():
    """A function that starts a simulator process and returns it with its port."""
    processes = []

    def begin(*arguments: str, pass_fds: tuple[int, ...] = ()) -> tuple[subprocess.Popen, int]:
        where = () if "--fd" in arguments else ("--port", "0")
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *where, *arguments],
            stdout=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        processes.append(process)
        line = process.stdout.readline().decode()
        return process, int(re.fullmatch(r".*http://127\.0\.0\.1:(\d+)\n", line)[1])

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def open_stream(port: int, content: bytes = b"hi") -> socket.socket:
    """Return a connection on which a stream has been asked for."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    body = STREAM % content
    head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    sock.sendall(head + body)
    return sock


def read_all(sock: socket.socket) -> bytes:
    """Read to the end-of-file."""
    answer = b""
    while piece := sock.recv(65536):
        answer += piece
    return answer


def read_until(sock: socket.socket, wanted: bytes) -> bytes:
    """Read until ``wanted`` was seen."""
    answer = b""
    while wanted not in answer:
        answer += sock.recv(65536)
    return answer


def test_sigterm_ends_it_at_once_with_status_0(launch):
    process, port = launch("--tps", "100")
    with open_stream(port) as sock:
        read_until(sock, b"content")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not read_all(sock).endswith(b"\r\n0\r\n\r\n")


def test_sigterm_with_linger_ends_streams_at_their_next_ping(launch):
    process, port = launch("--tps", "100", "--sigterm", "linger", "--ping", "0.2")
    with open_stream(port) as sock:
        read_until(sock, b"content")
        process.send_signal(signal.SIGTERM)
        answer = read_all(sock)
    assert answer.endswith(b"3\r\n:\n\n\r\n")
    assert process.wait(10) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_it_ends_when_its_lifeline_ends(launch):
    reading, writing = os.pipe()
    process, _ = launch("--lifeline", str(reading), pass_fds=(reading,))
    os.close(reading)
    os.close(writing)
    assert process.wait(10) == 0


def test_it_serves_on_an_inherited_socket(launch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        _, port = launch("--fd", str(number), "--model", "given", pass_fds=(number,))
        assert port == listener.getsockname()[1]
        with open_stream(port) as sock:
            assert b'"model":"given"' in read_until(sock, b"content")


def test_the_magic_prompt_kills_the_process(launch):
    process, port = launch("--tps", "100")
    with open_stream(port) as victim, open_stream(port, b"@die") as killer:
        assert read_all(killer) == b""
        assert not read_all(victim).endswith(b"\r\n0\r\n\r\n")
    assert process.wait(10) != 0


def test_faults_and_scripts_come_from_the_command_line(launch, tmp_path):
    scripts = tmp_path / "scripts.json"
    scripts.write_text('{"hey": ["data: hey\\n\\n", 0.001]}')
    _, port = launch("--fault", "cut:after_events=1,skip=1", "--scripts", str(scripts))
    with open_stream(port, b"@script hey") as sock:
        assert b"b\r\ndata: hey\n\n\r\n" in read_until(sock, b"\r\n0\r\n\r\n")
    with open_stream(port) as sock:
        assert read_all(sock).count(b"\n\n\r\n") == 1


def test_an_unknown_fault_is_explained():
    command = [sys.executable, "-c", RUN, "--fault", "nonsense"]
    done = subprocess.run(command, capture_output=True, timeout=20)
    assert done.returncode == 2
    assert b"unknown fault 'nonsense'; known: refuse, " in done.stderr
