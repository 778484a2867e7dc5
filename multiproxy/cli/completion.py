"""``multiproxy completion``: scripts for bash, zsh and fish, from the parsers of the commands.

Commands, flags and their words are in the script, so that a key press does not start Python;
only names of backends are asked of ``multiproxy config backends``.
"""

import argparse
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from multiproxy import simulator

BACKENDS = "multiproxy config backends 2>/dev/null"


class Kind(Enum):
    """What a value is completed with."""

    NOTHING = "nothing"
    FILES = "files"
    BACKENDS = "backends"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Option:
    """One flag in all its spellings, or the positional words when ``flags`` is empty."""

    flags: tuple[str, ...]
    doc: str
    takes_value: bool
    kind: Kind
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    doc: str
    options: tuple[Option, ...]

    def flags(self) -> Iterator[Option]:
        return (option for option in self.options if option.flags)

    def positional(self) -> Option | None:
        return next((option for option in self.options if not option.flags), None)


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for ``bash``, ``zsh`` or ``fish``."""
    commands = [_whole(command) for command in commands_of(parser)]
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)


def _whole(command: Command) -> Command:
    """The simulator reads its own options: no other command needs to import it."""
    if command.name != "simulate":
        return command
    parser = argparse.ArgumentParser()
    simulator.add_arguments(parser)
    return replace(command, options=tuple(map(_option, parser._actions)))


def commands_of(parser: argparse.ArgumentParser) -> list[Command]:
    """Every command of a parser with sub-commands, in its order."""
    (choices,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    docs = {action.dest: action.help or "" for action in choices._get_subactions()}
    return [
        Command(name, _doc(docs[name]), tuple(map(_option, inner._actions)))
        for name, inner in choices.choices.items()
    ]


def _option(action: argparse.Action) -> Option:
    words = tuple(map(str, action.choices or ()))
    kind = Kind.WORDS if words else Kind.NOTHING
    if action.dest == "backend":
        kind = Kind.BACKENDS
    elif action.metavar == "FILE":
        kind = Kind.FILES
    return Option(
        tuple(action.option_strings), _doc(action.help or ""), action.nargs != 0, kind, words
    )


def _doc(text: str) -> str:
    """One line that no shell reads a meaning into."""
    return re.sub(r"[^\w ./,;=()+-]", " ", text.replace("%(default)s", "")).strip()


def _bash(commands: Sequence[Command]) -> str:
    names = " ".join(command.name for command in commands)
    cases = "".join(_bash_case(command) for command in commands)
    return f"""\
# bash completion of multiproxy: source <(multiproxy completion bash)
_multiproxy_backends() {{ # bash takes what follows a colon for a word of its own
  local line=${{COMP_LINE:0:COMP_POINT}}
  local whole=${{line##* }}
  COMPREPLY=($(compgen -W "$({BACKENDS})" -- "$whole"))
  COMPREPLY=("${{COMPREPLY[@]#"${{whole%"${{whole##*:}}"}}"}}")
}}
_multiproxy() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{names} --help --version" -- "$current"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{cases}  esac
}}
complete -F _multiproxy multiproxy
"""


def _bash_case(command: Command) -> str:
    values = "".join(
        f"        {'|'.join(option.flags)}) {_bash_value(option)}; return ;;\n"
        for option in command.flags()
        if option.takes_value
    )
    flags = " ".join(flag for option in command.flags() for flag in option.flags)
    positional = command.positional()
    other = _bash_value(positional) if positional else ":"
    previous = f"      case $previous in\n{values}      esac\n" if values else ""
    return (
        f"    {command.name})\n{previous}"
        f'      if [ "${{current#-}}" != "$current" ]; then\n'
        f'        COMPREPLY=($(compgen -W "{flags}" -- "$current"))\n'
        f"      else\n        {other}\n      fi ;;\n"
    )


def _bash_value(option: Option) -> str:
    return {
        Kind.NOTHING: ":",
        # Names with blanks stay one word each.
        Kind.FILES: "local IFS=$'\\n'; compopt -o filenames 2>/dev/null; "
        'COMPREPLY=($(compgen -f -- "$current"))',
        Kind.BACKENDS: "_multiproxy_backends",
        Kind.WORDS: f'COMPREPLY=($(compgen -W "{" ".join(option.words)}" -- "$current"))',
    }[option.kind]


def _zsh(commands: Sequence[Command]) -> str:
    names = " ".join(_zsh_described(command.name, command.doc) for command in commands)
    cases = "".join(_zsh_case(command) for command in commands)
    return f"""\
#compdef multiproxy
# zsh completion of multiproxy: source <(multiproxy completion zsh), after compinit
_multiproxy() {{
  local -a found
  if (( CURRENT == 2 )); then
    found=({names} --help --version)
    _describe -t commands command found
    return
  fi
  case $words[2] in
{cases}  esac
}}
if [ "${{funcstack[1]-}}" = _multiproxy ]; then  # loaded as a file of fpath
  _multiproxy "$@"
else
  compdef _multiproxy multiproxy
fi
"""


def _zsh_case(command: Command) -> str:
    values = "".join(
        f"        {'|'.join(option.flags)}) {_zsh_value(option)}; return ;;\n"
        for option in command.flags()
        if option.takes_value
    )
    flags = " ".join(
        _zsh_described(flag, option.doc) for option in command.flags() for flag in option.flags
    )
    positional = command.positional()
    other = _zsh_value(positional) if positional else ":"
    previous = f"      case $words[CURRENT-1] in\n{values}      esac\n" if values else ""
    return (
        f"    {command.name})\n{previous}"
        f"      if [[ $words[CURRENT] == -* ]]; then\n"
        f"        found=({flags}); _describe -o -t options option found\n"
        f"      else\n        {other}\n      fi ;;\n"
    )


def _zsh_described(word: str, doc: str) -> str:
    return shlex.quote(f"{word}:{doc}" if doc else word)


def _zsh_value(option: Option) -> str:
    return {
        Kind.NOTHING: ":",
        Kind.FILES: "_files",
        Kind.BACKENDS: f'compadd -- ${{(f)"$({BACKENDS})"}}',
        Kind.WORDS: f"compadd -- {' '.join(option.words)}",
    }[option.kind]


def _fish(commands: Sequence[Command]) -> str:
    lines = ["# fish completion of multiproxy: multiproxy completion fish | source"]
    lines.append("complete -c multiproxy -f")
    for command in commands:
        doc = f" -d {shlex.quote(command.doc)}" if command.doc else ""
        lines.append(f"complete -c multiproxy -n __fish_use_subcommand -a {command.name}{doc}")
    for command in commands:
        there = f"complete -c multiproxy -n '__fish_seen_subcommand_from {command.name}'"
        lines += [f"{there}{_fish_option(option)}" for option in command.options]
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    flags = "".join(
        f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}" for flag in option.flags
    )
    needs = " -x" if option.flags and option.takes_value else ""
    value = {
        Kind.NOTHING: "",
        Kind.FILES: " -F",
        Kind.BACKENDS: f" -a '({BACKENDS})'",
        Kind.WORDS: f" -a '{' '.join(option.words)}'",
    }[option.kind]
    if option.kind is Kind.FILES and needs:
        needs = " -r"
    doc = f" -d {shlex.quote(option.doc)}" if option.doc and option.flags else ""
    return f"{flags}{needs}{value}{doc}"
