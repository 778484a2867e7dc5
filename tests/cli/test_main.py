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


def test_an_unknown_option_is_wrong_usage(capsys):
    code, _, error = leave(["serve", "--prot", "80"], capsys)
    assert (code, "--prot" in error) == (2, True)


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
