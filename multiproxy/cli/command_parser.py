"""The parser of one command: its line in the list of commands, its help, its examples."""

import argparse
from typing import Any

Commands = Any  # what `add_subparsers` returns; argparse's own type for it is private


def add_command(
    commands: Commands, name: str, line: str, description: str, examples: str, notes: str = ""
) -> argparse.ArgumentParser:
    """``line`` says what it does in the list of all; ``notes`` stand before its examples.

    The options have the parser itself as ``parser``, for what only the command can find wrong.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=line,
        description=description,
        epilog=f"{notes}\n\nExamples:\n{examples}".lstrip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(parser=parser)
    return parser
