"""The proxies of a run: how each is configured, started and stopped, alone on its core."""

import contextlib
import http.client
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import answers

ROOT = Path(__file__).resolve().parent.parent
_START_S = 20.0
_STOP_S = 10.0

_NGINX = """\
daemon off;
pid {home}/nginx.pid;
error_log {home}/nginx.error.log;
worker_processes 1;
worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
  access_log {home}/nginx.access.log;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  tcp_nodelay on;
  keepalive_requests 1000000;
  upstream backend {{
    server 127.0.0.1:{backend};
    keepalive 512;
    keepalive_requests 95;
    keepalive_timeout 3s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffering off;
      proxy_read_timeout 300s;
    }}
  }}
}}
"""

_HAPROXY = """\
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  option http-no-delay
  http-reuse safe
  timeout connect 2s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 75s
frontend api
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  server one 127.0.0.1:{backend} pool-max-conn 512 pool-purge-delay 3s
"""

_MULTIPROXY = """\
listen: 127.0.0.1:{port}
dashboard: 127.0.0.1:{dashboard}
backends:
  - url: http://127.0.0.1:{backend}
"""


@dataclass(slots=True)
class Contestant:
    """One proxy, or none: ``command`` is empty for the direct way and for a foreign proxy."""

    name: str
    address: str  # host:port that clients use
    command: list[str]
    log: Path
    version: str = ""
    translates: bool = False  # Messages and Responses for a backend that speaks Chat
    process: subprocess.Popen[bytes] | None = None

    def start(self, core: int) -> None:
        """Start it on ``core`` and wait until a request passes through it.

        Raises:
            RuntimeError: it ended, or did not serve in time; with the end of its log.
        """
        if self.command:
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    ["taskset", "-c", str(core), *self.command],
                    stdout=log,
                    stderr=log,
                    cwd=ROOT,
                )
        deadline = time.monotonic() + _START_S
        while not serves(self.address):
            if time.monotonic() > deadline or (self.process and self.process.poll() is not None):
                self.stop()
                end = self.log.read_text(errors="replace")[-2000:] if self.command else ""
                raise RuntimeError(f"{self.name} does not serve {self.address}\n{end}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it: asked first, then made to."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def serves(address: str) -> bool:
    """Whether a small request through ``address`` is answered by the backend."""
    connection = http.client.HTTPConnection(address, timeout=2)
    body = f'{{"model":"{answers.MODEL}","input":"perf run=up request=0 events=0 rate=0 size=64"}}'
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.request(
            "POST", "/v1/embeddings", body=body, headers={"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return answer.status == 200 and b"up/0/" in answer.read()
    connection.close()
    return False


def direct(backend: int) -> Contestant:
    """No proxy: what load and backend cost and delay by themselves."""
    return Contestant("direct", f"127.0.0.1:{backend}", [], Path())


def nginx(backend: int, port: int, home: Path) -> Contestant:
    """nginx with buffering off and a pool of kept connections, one worker process."""
    config = home / "nginx.conf"
    config.write_text(_NGINX.format(home=home, backend=backend, port=port))
    command = ["nginx", "-c", str(config), "-e", str(home / "nginx.error.log")]
    version = _version(["nginx", "-v"])
    return Contestant("nginx", f"127.0.0.1:{port}", command, home / "nginx.log", version)


def haproxy(backend: int, port: int, home: Path) -> Contestant:
    """HAProxy with no-delay, one thread, no log (it would need a syslog daemon)."""
    config = home / "haproxy.cfg"
    config.write_text(_HAPROXY.format(backend=backend, port=port))
    command = ["haproxy", "-f", str(config)]
    version = _version(["haproxy", "-v"])
    return Contestant("haproxy", f"127.0.0.1:{port}", command, home / "haproxy.log", version)


def multiproxy(backend: int, port: int, home: Path) -> Contestant:
    """MultiProxy of this checkout, one worker; supervisor, probes and dashboard counted too."""
    config = home / "multiproxy.yaml"
    config.write_text(_MULTIPROXY.format(backend=backend, port=port, dashboard=port + 1000))
    command = [sys.executable, "-m", "multiproxy", "serve"]
    command += ["--config", str(config), "--workers", "1"]
    log = home / "multiproxy.log"
    return Contestant("multiproxy", f"127.0.0.1:{port}", command, log, translates=True)


def foreign(name: str, command: str, address: str, home: Path) -> Contestant:
    """Any other proxy, already configured for the backend's port, by its own command line."""
    return Contestant(name, address, command.split(), home / f"{name}.log")


def _version(command: list[str]) -> str:
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except OSError:
        return "not installed"
    return (told.stdout + told.stderr).strip().splitlines()[0]
