"""The commands, their options and their help; each command is imported when it is called."""

import argparse
import difflib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from multiproxy import __version__
from multiproxy.cli import exit_codes, running_commands, setup_commands
from multiproxy.cli.command_parser import Commands, add_command
from multiproxy.cli.find_config import find

_COMMANDS = {
    "serve": "serve the API and the dashboard",
    "check": "find every mistake in a config.yaml",
    "simulate": "run one simulated llama-server",
    **setup_commands.COMMANDS,
    **running_commands.COMMANDS,
}

_EPILOG = """\
Examples:
  multiproxy demo                        everything simulated, nothing needed
  multiproxy init && multiproxy serve    the servers of this machine
  multiproxy COMMAND --help              what one command can do

Exit status: 0 fine, 1 it ran and the answer is bad, 2 wrong usage or
configuration, 3 an address is taken, 4 no MultiProxy runs there, 130 stopped by
a second Ctrl+C.
"""


class _Parser(argparse.ArgumentParser):
    """argparse, whose mistakes are two lines: what is wrong, and where the help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(exit_codes.USAGE, f"error: {message}\ntry: {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `multiproxy ... | head`: whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.FAILED


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["worker"]:  # started by the supervisor: no help, no parser of the others
        return _worker(arguments[1:])
    if arguments[:1] == ["simulate"]:
        from multiproxy import simulator

        return simulator.main(arguments[1:])
    parser = build_parser()
    if not arguments or arguments == ["help"]:
        parser.print_help()
        if found := find(os.environ):
            print(f"\nFound {found}. Start with: multiproxy serve")
        return exit_codes.OK
    _refuse_unknown(parser, arguments[0])
    options, extra = parser.parse_known_args(arguments)
    if extra:
        _refuse_extra(options.parser, extra[0])
    return int(options.run(options))


def build_parser() -> argparse.ArgumentParser:
    """All commands but the hidden ``worker``."""
    parser = _Parser(
        prog="multiproxy",
        description="One OpenAI- and Anthropic-compatible address in front of many llama-servers.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("--version", action="version", version=f"multiproxy {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _add_serve(commands)
    _add_check(commands)
    setup_commands.add(commands)
    running_commands.add(commands)
    commands.add_parser("simulate", help=_COMMANDS["simulate"], add_help=False)
    return parser


def _add_serve(commands: Commands) -> None:
    parser = add_command(
        commands,
        "serve",
        _COMMANDS["serve"],
        "Serve the API and the dashboard until SIGTERM or Ctrl+C; SIGHUP reloads.",
        "  multiproxy serve\n  multiproxy serve -c /etc/multiproxy/config.yaml --dashboard off",
        notes="Every option can be given as a variable too: MULTIPROXY_LISTEN=0.0.0.0:8001,\n"
        "MULTIPROXY_WATCH=1.",
    )
    parser.set_defaults(run=_serve)
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="default: ./config.yaml, then the user's, then /etc"
    )
    parser.add_argument("--listen", metavar="HOST:PORT", help="address of the API")
    parser.add_argument("--dashboard", metavar="HOST:PORT|off", help="address of the dashboard")
    parser.add_argument("--workers", metavar="N", help="processes, or auto")
    parser.add_argument("--watch", action="store_true", help="reload when the file changes")
    parser.add_argument("--log-format", metavar="FORMAT", help="auto, text or json")


def _add_check(commands: Commands) -> None:
    parser = add_command(
        commands,
        "check",
        _COMMANDS["check"],
        "Find every mistake in a config.yaml, with line and column.",
        "  multiproxy check\n"
        "  multiproxy check --probe --json config.yaml | jq '.backends[].state'",
        notes="Exit status 0 when all is well, 1 when --probe found a backend down, 2 when the\n"
        "file has mistakes.",
    )
    parser.set_defaults(run=_check)
    parser.add_argument("--probe", action="store_true", help="also ask every backend how it is")
    parser.add_argument("file", nargs="?", metavar="FILE", help="default: as for serve")
    parser.add_argument("-c", "--config", metavar="FILE", help="the same")
    parser.add_argument("--json", action="store_true", help="print the problems as JSON")


def _serve(options: argparse.Namespace) -> int:
    from multiproxy.cli.serve import serve

    return serve(options)


def _check(options: argparse.Namespace) -> int:
    from multiproxy.cli.check import check

    if options.file and options.config:
        options.parser.error("two files: FILE and --config")
    return check(options.file or options.config, as_json=options.json, probe=options.probe)


def _refuse_unknown(parser: argparse.ArgumentParser, word: str) -> None:
    if word.startswith("-") or word in _COMMANDS:
        return
    parser.error(f"no such command '{word}'{_hint(word, _COMMANDS)}")


def _refuse_extra(parser: argparse.ArgumentParser, word: str) -> NoReturn:
    """What is left over when ``parser``, a command's own, has taken what it knows."""
    if not word.startswith("-"):
        parser.error(f"'{word}' is one word too many")
    name, _, _ = word.partition("=")
    known = [flag for action in parser._actions for flag in action.option_strings]
    parser.error(f"no such option '{name}'{_hint(name, known)}")


def _hint(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _worker(arguments: Sequence[str]) -> int:
    parser = _Parser(prog="multiproxy worker", description="Started by the supervisor.")
    for name in ("index", "listener", "scoreboard", "snapshot", "lifeline"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args(arguments)
    from multiproxy.worker.main import run

    return run(
        options.index, options.listener, options.scoreboard, options.snapshot, options.lifeline
    )
