"""The command line of a simulator of its own: ``multiproxy simulate``."""

import argparse
import socket
from collections.abc import Sequence
from pathlib import Path

import orjson

from .faults import KINDS, Fault
from .server import run
from .settings import Script, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to ``parser``."""
    default = Settings()
    where = parser.add_argument_group("where")
    where.add_argument("--host", default="127.0.0.1")
    where.add_argument("--port", type=int, default=8080, help="0 picks a free one")
    where.add_argument("--fd", type=int, help="an inherited listening socket instead of a port")
    where.add_argument("--lifeline", type=int, help="a descriptor; end when it reads end-of-file")
    what = parser.add_argument_group("what")
    what.add_argument("--model", default=default.model)
    what.add_argument("--slots", type=int, default=default.slots)
    what.add_argument("--ctx", type=int, default=default.context_size, help="tokens per slot")
    what.add_argument("--tps", type=float, default=default.tokens_per_second, help="0: no limit")
    what.add_argument("--pps", type=float, default=default.prompt_tokens_per_second)
    what.add_argument("--load-time", type=float, default=0.0, metavar="SECONDS")
    what.add_argument("--n-predict", type=int, default=default.n_predict)
    what.add_argument("--seed", type=int, default=default.seed)
    what.add_argument("--api-key", action="append", default=[])
    what.add_argument("--ping", type=float, default=default.ping_interval, metavar="SECONDS")
    what.add_argument("--sleep-idle", type=float, default=-1.0, metavar="SECONDS")
    what.add_argument("--keep-alive", type=float, default=default.keep_alive_timeout)
    what.add_argument("--keep-alive-max", type=int, default=default.keep_alive_max)
    what.add_argument("--reasoning", action="store_true", help="the model thinks")
    what.add_argument("--embeddings", action="store_true")
    what.add_argument("--rerank", action="store_true")
    what.add_argument("--sigterm", choices=("exit", "linger"), default="exit")
    harm = parser.add_argument_group("harm")
    kinds = ", ".join(KINDS)
    harm.add_argument(
        "--fault", action="append", default=[], metavar="KIND[:NAME=VALUE,...]", help=kinds
    )
    harm.add_argument("--scripts", type=Path, help="JSON: name -> list of pieces and pauses")
    harm.add_argument("--control", action="store_true", help="open POST /simulator/fault")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that parsed arguments ask for.

    Raises:
        ValueError: a fault is none.
    """
    return Settings(
        model=arguments.model,
        slots=arguments.slots,
        context_size=arguments.ctx,
        tokens_per_second=arguments.tps,
        prompt_tokens_per_second=arguments.pps,
        load_time=arguments.load_time,
        n_predict=arguments.n_predict,
        seed=arguments.seed,
        api_keys=tuple(arguments.api_key),
        ping_interval=arguments.ping,
        sleep_idle_s=arguments.sleep_idle,
        keep_alive_timeout=arguments.keep_alive,
        keep_alive_max=arguments.keep_alive_max,
        reasoning=arguments.reasoning,
        embeddings=arguments.embeddings,
        rerank=arguments.rerank,
        sigterm=arguments.sigterm,
        faults=[Fault.parse(spec) for spec in arguments.fault],
        scripts=_scripts(arguments.scripts) if arguments.scripts else {},
        control=arguments.control,
    )


def _scripts(path: Path) -> dict[str, Script]:
    loaded = orjson.loads(path.read_bytes())
    return {
        name: [piece.encode() if isinstance(piece, str) else float(piece) for piece in pieces]
        for name, pieces in loaded.items()
    }


def execute(arguments: argparse.Namespace) -> int:
    """Run a simulator until it is told to end; return the exit status."""
    sock = None
    if arguments.fd is not None:
        sock = socket.socket(fileno=arguments.fd)
        sock.setblocking(False)
    return run(
        settings_of(arguments),
        sock=sock,
        host=arguments.host,
        port=arguments.port,
        lifeline_fd=arguments.lifeline,
        announce=True,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Parse ``argv`` and run."""
    parser = argparse.ArgumentParser(
        prog="multiproxy simulate", description="A simulated llama-server."
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        return execute(arguments)
    except ValueError as error:
        parser.error(str(error))
