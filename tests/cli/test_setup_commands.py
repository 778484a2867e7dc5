"""Help and options of the commands that set MultiProxy up."""

import re

import pytest

from multiproxy.cli import main, setup_commands


def test_config_says_what_there_is_to_see(capsys):
    with pytest.raises(SystemExit):
        main(["config", "--help"])
    shown = capsys.readouterr().out
    assert all(f"  {what} " in shown for what in setup_commands.CONFIG)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["config", "everything"], "show"), (["completion", "tcsh"], "fish"), (["config"], "show")],
)
def test_another_word_is_wrong_usage_and_the_right_ones_are_named(arguments, word, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert (ended.value.code, word in capsys.readouterr().err) == (2, True)


def test_the_help_of_all_tells_the_exit_statuses(capsys):
    assert main(["help"]) == 0
    shown = capsys.readouterr().out
    assert "Exit status: 0 fine, 1 " in shown and "130 " in shown
    assert all(re.search(rf"\n    {name}\s", shown) for name in setup_commands.COMMANDS)
