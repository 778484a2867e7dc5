"""nginx and Caddy in front, with TLS, as the snippets set them up: tokens come one by one."""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from multiproxy_process import free_port
from waiting import until

FOLDER = Path(__file__).parent.parent.parent / "deploy/proxies"
NAME = "llm.example.org"
CONFIG = {
    "backends": [{"simulate": {"tokens_per_second": 4, "prompt_tokens_per_second": 100000}}],
    "allowed_hosts": [NAME],
}
LONG = {"model": "demo", "stream": True, "max_tokens": 400, "ignore_eos": True}


def needed(program):
    if not shutil.which(program):
        if "MULTIPROXY_SKIP_NOTHING" in os.environ:
            pytest.fail(f"there is no {program} here")
        pytest.skip(f"there is no {program} here")
    return program


@pytest.fixture
def certificate(tmp_path):
    """Files of a certificate for `NAME`, signed by itself, and its key."""
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            needed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
            "-addext", f"subjectAltName=DNS:{NAME}", "-out", files[0], "-keyout", files[1],
        ],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return files


@contextlib.contextmanager
def running(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def listens():
            assert process.poll() is None
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return True

        until(listens)
        yield
    finally:
        process.terminate()
        process.wait(10)


def nginx_of(snippet, folder):
    """A whole nginx configuration around the snippet."""
    parts = "".join(f"{what}_temp_path {folder};" for what in ("client_body", "proxy"))
    return (
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {parts} fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; "
        f"scgi_temp_path {folder};\n{snippet}\n}}"
    )


def nginx(tmp_path, upstream, port, certificate):
    text = (FOLDER / "nginx.conf").read_text()
    for old, new in (
        ("127.0.0.1:8001", f"127.0.0.1:{upstream}"),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("/etc/ssl/llm.example.org.pem", str(certificate[0])),
        ("/etc/ssl/llm.example.org.key", str(certificate[1])),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "nginx.conf"
    path.write_text(nginx_of(text, tmp_path))
    command = [needed("nginx"), "-e", str(tmp_path / "error.log"), "-c", str(path)]
    subprocess.run([*command, "-t"], check=True, capture_output=True, timeout=30)
    return command


def caddy(tmp_path, upstream, port, certificate):
    text = (FOLDER / "Caddyfile").read_text()
    for old, new in (
        ("127.0.0.1:8001", f"127.0.0.1:{upstream}"),
        (f"\n{NAME} {{", f"\nhttps://{NAME}:{port} {{\n\ttls {certificate[0]} {certificate[1]}"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "Caddyfile"
    path.write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text)
    return [needed("caddy"), "run", "--adapter", "caddyfile", "--config", str(path)]


@pytest.mark.parametrize("front", [nginx, caddy])
def test_tokens_pass_one_by_one_and_a_client_that_leaves_ends_its_generation(
    front, tmp_path, certificate, multiproxy_process, monkeypatch
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    proxy, port = multiproxy_process(CONFIG), free_port()
    tls = ssl.create_default_context(cafile=certificate[0])
    with running(front(tmp_path, proxy.port, port, certificate), port):
        body = json.dumps(LONG | {"messages": [{"role": "user", "content": "hi"}]}).encode()
        raw = socket.create_connection(("127.0.0.1", port), timeout=20)
        with tls.wrap_socket(raw, server_hostname=NAME) as client:
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json"
                b"\r\nContent-Length: %d\r\n\r\n%b" % (NAME.encode(), len(body), body)
            )
            received = b""
            while received.count(b'"content":"') < 2:
                received += client.recv(65536)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        # Of an answer of 100 s, no more than its beginning was waited for.
        assert received.count(b"data: ") < 8
        line = proxy.wait_for_log(lambda line: line.get("event") == "request")
        assert line["end"] == "CD"
