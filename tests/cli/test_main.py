import re
import subprocess
import sys

import pytest

from multiproxy import __version__, simulator
from multiproxy.cli import main


def leave(argv, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    shown = capsys.readouterr()
    return ended.value.code, shown.out, shown.err


def test_a_mistyped_command_gets_a_suggestion(capsys):
    code, _, error = leave(["chek"], capsys)
    assert code == 2
    assert error.startswith("error: no such command 'chek'; did you mean 'check'?\n")


def test_a_command_like_nothing_gets_no_suggestion(capsys):
    assert leave(["xyzzy"], capsys)[2].startswith("error: no such command 'xyzzy'\n")


def test_a_mistyped_option_gets_a_suggestion_and_its_commands_help(capsys):
    code, _, error = leave(["serve", "--lisen=127.0.0.1:80"], capsys)
    wanted = "error: no such option '--lisen'; did you mean '--listen'?\n"
    assert (code, error) == (2, wanted + "try: multiproxy serve --help\n")


def test_a_word_too_many_is_named(capsys):
    code, _, error = leave(["drain", "gpu-a", "gpu-b"], capsys)
    assert (code, error.splitlines()[0]) == (2, "error: 'gpu-b' is one word too many")


def test_help_fits_eighty_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    listed = re.findall(r"^    (\w+)  ", leave(["--help"], capsys)[1], re.MULTILINE)
    assert len(listed) > 10
    for command in (None, *listed):
        _, text, _ = leave([*filter(None, [command]), "--help"], capsys)
        assert max(map(len, text.splitlines())) <= 80, command


def test_the_version_is_data(capsys):
    assert leave(["--version"], capsys) == (0, f"multiproxy {__version__}\n", "")


def test_without_a_command_it_helps_and_names_the_config_it_found(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MULTIPROXY_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main([]) == 0
    help_text = capsys.readouterr().out
    assert all(name in help_text for name in ("serve", "check", "simulate"))
    assert "worker" not in help_text.replace("workers", "")
    assert "Found" not in help_text
    (tmp_path / "config.yaml").write_text("backends: [{simulate: true}]")
    main(["help"])
    assert "Found config.yaml. Start with: multiproxy serve\n" in capsys.readouterr().out


def test_simulate_passes_its_options_on(monkeypatch):
    monkeypatch.setattr(simulator, "main", lambda argv: (9, argv))
    assert main(["simulate", "--port", "0"]) == (9, ["--port", "0"])


def test_a_worker_needs_all_of_its_descriptors(capsys):
    code, _, error = leave(["worker", "--index", "0"], capsys)
    assert code == 2
    assert "--listener, --scoreboard, --snapshot, --lifeline" in error


def test_check_imports_neither_loop_nor_server():
    program = (
        "import sys; from multiproxy.cli import main; main(['check', '/dev/null']);"
        "print([name for name in ('asyncio', 'uvloop', 'jinja2', 'ssl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
