from pathlib import Path

from multiproxy.cli.find_config import find, nothing_found, places


def test_the_variable_names_the_only_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("")
    environ = {"MULTIPROXY_CONFIG": "/missing.yaml", "HOME": str(tmp_path)}
    assert find(environ) == Path("/missing.yaml")


def test_the_working_folder_comes_before_the_users(tmp_path, monkeypatch):
    work, home = tmp_path / "work", tmp_path / "home"
    (home / "multiproxy").mkdir(parents=True)
    work.mkdir()
    monkeypatch.chdir(work)
    environ = {"XDG_CONFIG_HOME": str(home)}
    users = home / "multiproxy" / "config.yaml"
    users.write_text("")
    assert find(environ) == users
    (work / "config.yaml").write_text("")
    assert find(environ) == Path("config.yaml")


def test_nothing_found_names_every_place_and_the_way_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert find(environ) is None
    text = nothing_found(environ)
    assert all(f"\n  {path}\n" in text for path in places(environ))
    assert "- url: http://127.0.0.1:8080" in text
