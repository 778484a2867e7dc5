"""The proxies of a run: how each is configured, started and stopped, alone on its core."""

import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import answers
import peers
from plan import Plan

ROOT = Path(__file__).resolve().parent.parent
_BACKEND = Path(__file__).with_name("backend.py")
_START_S = 90.0
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
  client_max_body_size 64m;
  client_body_buffer_size 2m;
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
history: {{path: {home}/history.db}}
"""

_LITELLM = """\
model_list:
  - model_name: {model}
    litellm_params:
      {{model: hosted_vllm/{model}, api_base: "http://127.0.0.1:{backend}/v1", api_key: none}}
litellm_settings: {{telemetry: false, drop_params: true}}
general_settings: {{dangerously_permit_weak_or_unset_master_key: true}}
"""


@dataclass(slots=True)
class Contestant:
    """One proxy, or none: ``command`` is empty for the direct way and for a foreign proxy."""

    name: str
    address: str  # host:port that clients use
    command: list[str]
    log: Path
    version: str = ""
    dialects: tuple[str, ...] = ("chat",)  # that it speaks with a backend that speaks Chat
    rewrites: bool = False  # answers have other bytes, and say the same
    # What of the load it gets, when it cannot bear all of it.
    streams_share: float = 1.0
    requests_share: float = 1.0
    environment: dict[str, str] = field(default_factory=dict)
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
                    env=os.environ | self.environment,
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


@contextmanager
def backend(port: int) -> Iterator[None]:
    """The backend of all contestants, which serves until the block ends."""
    command = [sys.executable, str(_BACKEND), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it serves
        try:
            yield
        finally:
            process.terminate()


def serves(address: str) -> bool:
    """Whether a small request through ``address`` is answered by the backend."""
    body = f'{{"model":"{answers.MODEL}","input":"{Plan("up", 0, size=64).prompt()}"}}'
    fields = {"Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(address, timeout=2)) as connection:
        with suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/v1/embeddings", body=body, headers=fields)
            answer = connection.getresponse()
            return answer.status == 200 and b"up/0/" in answer.read()
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
    config.write_text(
        _MULTIPROXY.format(backend=backend, port=port, dashboard=port + 1000, home=home)
    )
    command = [sys.executable, "-m", "multiproxy", "serve"]
    command += ["--config", str(config), "--workers", "1"]
    log = home / "multiproxy.log"
    spoken = ("chat", "messages", "responses")
    return Contestant("multiproxy", f"127.0.0.1:{port}", command, log, dialects=spoken)


def router(name: str, backend: int, port: int, home: Path) -> Contestant:
    """One of the Rust routers, for one backend."""
    command = [str(peers.installed(name)), *(["launch"] if name == "sglang-router" else [])]
    command += ["--host", "127.0.0.1", "--port", str(port), "--policy", "round_robin"]
    command += ["--worker-urls", f"http://127.0.0.1:{backend}"]
    command += ["--prometheus-port", str(port + 1000), "--log-level", "error"]
    command += ["--max-concurrent-requests", "20000"]
    return Contestant(name, f"127.0.0.1:{port}", command, home / f"{name}.log", peers.PINS[name])


def litellm(backend: int, port: int, home: Path) -> Contestant:
    """LiteLLM's proxy, one worker, without keys or a database."""
    config = home / "litellm.yaml"
    config.write_text(_LITELLM.format(backend=backend, model=answers.MODEL))
    command = [str(peers.installed("litellm")), "--config", str(config), "--num_workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    return Contestant(
        "litellm",
        f"127.0.0.1:{port}",
        command,
        home / "litellm.log",
        peers.PINS["litellm"],
        dialects=("chat", "messages"),  # events of its Responses have no names and numbers
        rewrites=True,
        streams_share=0.05,
        requests_share=0.005,
        environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
    )


def foreign(name: str, command: str, address: str, home: Path) -> Contestant:
    """Any other proxy, already configured for the backend's port, by its own command line."""
    return Contestant(name, address, command.split(), home / f"{name}.log")


def _version(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        raise peers.NotInstalledError(f"there is no command {command[0]}")
    told = subprocess.run(command, capture_output=True, text=True, timeout=10)
    return (told.stdout + told.stderr).strip().splitlines()[0]
