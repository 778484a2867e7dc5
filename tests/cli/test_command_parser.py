"""What the help of every command has."""

import pytest

from multiproxy.cli import main, running_commands, setup_commands


@pytest.mark.parametrize(
    "name", ["serve", "check", *setup_commands.COMMANDS, *running_commands.COMMANDS]
)
def test_help_ends_with_examples_of_the_command(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    shown = capsys.readouterr().out
    examples = shown.partition("Examples:\n")[2].splitlines()
    assert ended.value.code == 0
    assert examples and all(f"multiproxy {name}" in line for line in examples)
