"""The commands that work without a running MultiProxy: their options and help.

Each is imported when it is called: most need what the others do not.
"""

import argparse

from multiproxy.cli import exit_codes
from multiproxy.cli.command_parser import Commands, add_command

COMMANDS = {
    "init": "write a config.yaml for the servers that are there",
    "config": "show the settings in use, or what there is to set",
    "key": "make a key for a client",
    "completion": "print a script that completes commands, flags and backends",
}

CONFIG = {
    "show": "every setting in use, where it comes from, secrets masked",
    "path": "which file is used",
    "backends": "the ids of its backends, one a line",
    "schema": "the JSON Schema of config.yaml, for editors",
    "reference": "every setting, its values and its default, as Markdown",
}


def add(commands: Commands) -> None:
    """Add the parser of each of `COMMANDS`; its ``run`` takes the options."""
    _add_init(commands)
    _add_config(commands)
    _add_key(commands)
    _add_completion(commands)


def _add_init(commands: Commands) -> None:
    parser = add_command(
        commands,
        "init",
        COMMANDS["init"],
        "Look for llama-server, Ollama, LM Studio and vLLM on the usual ports of this\n"
        "machine, or at the URLs, and write a config.yaml with comments.\n"
        "Exit status 0 when it is written, 1 when nothing answered, 2 when it exists.",
        "  multiproxy init\n"
        "  multiproxy init http://10.0.0.11:8080 http://10.0.0.12:8080\n"
        "  multiproxy init --force --output ~/.config/multiproxy/config.yaml",
    )
    parser.set_defaults(run=_init)
    parser.add_argument("urls", nargs="*", metavar="URL", help="servers, instead of looking")
    parser.add_argument(
        "-o", "--output", default="config.yaml", metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that exists")


def _add_config(commands: Commands) -> None:
    names = "\n".join(f"  {name:<10} {doc}" for name, doc in CONFIG.items())
    parser = add_command(
        commands,
        "config",
        COMMANDS["config"],
        f"Print one of:\n{names}",
        "  multiproxy config show\n"
        "  multiproxy config show --json | jq .sources\n"
        "  multiproxy config schema > config.schema.json",
    )
    parser.set_defaults(run=_config)
    parser.add_argument("what", choices=CONFIG, metavar="|".join(CONFIG))
    parser.add_argument("-c", "--config", metavar="FILE", help="default: as for serve")
    parser.add_argument("--json", action="store_true", help="for show: as JSON")


def _add_key(commands: Commands) -> None:
    parser = add_command(
        commands,
        "key",
        COMMANDS["key"],
        "Make a key for a client and print it, once, with the line of config.yaml\n"
        "that knows it: that holds a digest, which is no secret.",
        "  multiproxy key ann\n  multiproxy key nightly-jobs --json | jq -r .key",
    )
    parser.set_defaults(run=_key)
    parser.add_argument("name", metavar="NAME", help="who will use it")
    parser.add_argument("--json", action="store_true", help="print both as JSON")


def _add_completion(commands: Commands) -> None:
    parser = add_command(
        commands,
        "completion",
        COMMANDS["completion"],
        "Print a script that completes commands, flags and names of backends.",
        "  source <(multiproxy completion bash)     # in ~/.bashrc\n"
        "  source <(multiproxy completion zsh)      # in ~/.zshrc, after compinit\n"
        "  multiproxy completion fish > ~/.config/fish/completions/multiproxy.fish",
    )
    parser.set_defaults(run=_completion)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="bash|zsh|fish")


def _config(options: argparse.Namespace) -> int:
    from multiproxy.cli.config import config

    return config(options)


def _init(options: argparse.Namespace) -> int:
    from multiproxy.cli.init import init

    return init(options)


def _key(options: argparse.Namespace) -> int:
    from multiproxy.cli.new_key import new_key

    return new_key(options.name, as_json=options.json)


def _completion(options: argparse.Namespace) -> int:
    from multiproxy.cli.completion import script
    from multiproxy.cli.main import build_parser

    print(script(options.shell, build_parser()), end="")
    return exit_codes.OK
