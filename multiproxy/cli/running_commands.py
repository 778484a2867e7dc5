"""The commands that talk to a running MultiProxy, and the demo: their options and help.

Each is imported when it is called: most need what the others do not.
"""

import argparse

from multiproxy.cli.command_parser import Commands, add_command

COMMANDS = {
    "demo": "a running MultiProxy with simulated servers and traffic, nothing needed",
    "status": "how a running MultiProxy is, on one screen",
    "top": "the same, live; q ends it",
    "tail": "its newest requests, one line each",
    "drain": "give one of its backends no new requests",
    "resume": "give a drained backend requests again",
    "reload": "have it read its config.yaml again",
}

FOUND = """\
The running one is found by the dashboard's address: --url, MULTIPROXY_URL,
MULTIPROXY_DASHBOARD, or what config.yaml says. A password comes from
config.yaml or MULTIPROXY_DASHBOARD_PASSWORD. With 'auth: token', give the
link that its log shows (http://.../login?token=...) as --url or
MULTIPROXY_URL; it is good for one command, and the log shows the next.
Exit status 4: nothing answers there."""


def add(commands: Commands) -> None:
    """Add the parser of each of `COMMANDS`; its ``run`` takes the options."""
    _add_demo(commands)
    _add_status(commands)
    _add_top(commands)
    _add_tail(commands)
    for name in ("drain", "resume"):
        _add_hold(commands, name)
    _add_reload(commands)


def _add_where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("which one", FOUND)
    where.add_argument("--url", metavar="URL", help="its dashboard: http://127.0.0.1:8080")
    where.add_argument("-c", "--config", metavar="FILE", help="default: as for serve")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_status(commands: Commands) -> None:
    parser = add_command(
        commands,
        "status",
        COMMANDS["status"],
        "How a running MultiProxy is. Exit status 1: no backend serves.",
        "  multiproxy status\n  multiproxy status --json | jq '.backends[].state'",
    )
    _add_where(parser)
    parser.set_defaults(run=_status)


def _add_top(commands: Commands) -> None:
    parser = add_command(
        commands,
        "top",
        COMMANDS["top"],
        "Backends and running requests, live. Keys: q ends, p pauses. Without a terminal\n"
        "the status is printed again and again; with --json one object per look.",
        "  multiproxy top\n  multiproxy top --interval 5 --json",
    )
    _add_where(parser)
    parser.add_argument(
        "--interval", type=_seconds, default=1.0, metavar="SECONDS", help="default: 1"
    )
    parser.set_defaults(run=_top)


def _add_tail(commands: Commands) -> None:
    parser = add_command(
        commands,
        "tail",
        COMMANDS["tail"],
        "The newest requests that have ended, the oldest of them first.",
        "  multiproxy tail -f\n"
        "  multiproxy tail -f --status failed --json\n"
        "  multiproxy tail -n 200 --key alice",
    )
    _add_where(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what ends later")
    parser.add_argument("-n", "--lines", type=_lines, default=20, metavar="N", help="default: 20")
    parser.add_argument("--status", choices=("ok", "failed", "retried", "left", "rejected"))
    for name in ("model", "backend", "key"):
        parser.add_argument(f"--{name}", metavar="NAME", help=f"only of this {name}")
    parser.set_defaults(run=_tail)


def _add_hold(commands: Commands, name: str) -> None:
    texts = {
        "drain": "The backend gets no new requests; those that run there go on. It stays so\n"
        "until it is resumed or MultiProxy is started again.",
        "resume": "The backend gets requests again.",
    }
    examples = f"  multiproxy {name} gpu-a"
    if name == "drain":
        examples += "\n  multiproxy drain gpu-a --wait && ssh gpu-a reboot"
    parser = add_command(commands, name, COMMANDS[name], texts[name], examples)
    _add_where(parser)
    parser.add_argument("backend", metavar="NAME", help="the backend's id")
    if name == "drain":
        parser.add_argument("--wait", action="store_true", help="until nothing runs there any more")
    parser.set_defaults(run=_hold)


def _add_reload(commands: Commands) -> None:
    parser = add_command(
        commands,
        "reload",
        COMMANDS["reload"],
        "Have it read its config.yaml again, and wait until the new settings serve. Exit\n"
        "status 1: the file has mistakes or does not fit, and the old settings go on.",
        "  multiproxy check && multiproxy reload",
    )
    _add_where(parser)
    parser.set_defaults(run=_reload)


def _add_demo(commands: Commands) -> None:
    parser = add_command(
        commands,
        "demo",
        COMMANDS["demo"],
        "Start MultiProxy with simulated llama-servers and clients of every kind,\n"
        "failures included. No model, no config.yaml, no download; Ctrl+C leaves nothing\n"
        "behind.",
        "  multiproxy demo\n  multiproxy demo --rate 10 --dashboard 127.0.0.1:9090",
    )
    parser.add_argument("--rate", type=_rate, default=3.0, metavar="N", help="requests per second")
    parser.add_argument(
        "--listen", default="127.0.0.1:8001", metavar="HOST:PORT", help="address of the API"
    )
    parser.add_argument(
        "--dashboard", default="127.0.0.1:8080", metavar="HOST:PORT", help="and of the dashboard"
    )
    parser.set_defaults(run=_demo)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError("must be 0.1 to 3600")
    return value


def _lines(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError("must be 0 to 10000")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 200:
        raise argparse.ArgumentTypeError("must be 0 to 200")
    return value


def _status(options: argparse.Namespace) -> int:
    from multiproxy.cli.status import status

    return status(options)


def _top(options: argparse.Namespace) -> int:
    from multiproxy.cli.top import top

    return top(options)


def _tail(options: argparse.Namespace) -> int:
    from multiproxy.cli.tail import tail

    return tail(options)


def _hold(options: argparse.Namespace) -> int:
    from multiproxy.cli.act import hold

    return hold(options)


def _reload(options: argparse.Namespace) -> int:
    from multiproxy.cli.act import reload

    return reload(options)


def _demo(options: argparse.Namespace) -> int:
    from multiproxy.cli.demo import demo

    return demo(options)
