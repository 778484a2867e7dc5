"""The folder of what all workers share: whose it is, where it is, and that it goes."""

import stat
from pathlib import Path

import pytest

from multiproxy.supervisor import private_folder
from multiproxy.supervisor.private_folder import PrivateFolder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, for as long as the test runs."""
    monkeypatch.setattr(private_folder.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_nobody_else_can_look_into_it():
    folder = PrivateFolder()
    path = Path(folder.file("responses")).parent
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    folder.remove()


def test_it_is_in_memory_where_the_system_has_that(monkeypatch, tmp_path):
    monkeypatch.setattr(private_folder, "_IN_MEMORY", tmp_path)
    path = Path(PrivateFolder().file("responses"))
    assert (path.name, path.parent.parent) == ("responses", tmp_path)


def test_without_memory_it_is_where_temporary_files_are(monkeypatch, elsewhere):
    monkeypatch.setattr(private_folder, "_IN_MEMORY", elsewhere / "missing")
    assert Path(PrivateFolder().file("x")).parent.parent == elsewhere


def test_memory_that_takes_no_folder_is_no_reason_to_fail(monkeypatch, elsewhere):
    make = private_folder.tempfile.mkdtemp

    def refuses(prefix: str, dir: Path | None = None) -> str:
        if dir is not None:
            raise OSError(30, "Read-only file system")
        return make(prefix=prefix)

    monkeypatch.setattr(private_folder, "_IN_MEMORY", elsewhere)
    monkeypatch.setattr(private_folder.tempfile, "mkdtemp", refuses)
    assert Path(PrivateFolder().file("x")).parent.parent == elsewhere


def test_it_goes_with_everything_in_it_and_may_be_gone_already():
    folder = PrivateFolder()
    path = Path(folder.file("responses"))
    path.write_bytes(b"x")
    folder.remove()
    assert not path.parent.exists()
    folder.remove()


def test_two_of_them_are_not_the_same():
    first, second = PrivateFolder(), PrivateFolder()
    assert first.file("x") != second.file("x")
    first.remove()
    second.remove()
