from pathlib import Path

import pytest

from multiproxy.config import Address, Config, History
from multiproxy.supervisor.history.place import default_path, file_of


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"HOME": "/home/a"}, "/home/a/.local/state/multiproxy/history-8001.db"),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "/s"}, "/s/multiproxy/history-8001.db"),
        ({"HOME": "/h", "XDG_STATE_HOME": "s"}, "/h/.local/state/multiproxy/history-8001.db"),
        ({"HOME": "/r", "STATE_DIRECTORY": "/var/lib/m:/x"}, "/var/lib/m/history-8001.db"),
    ],
)  # fmt: skip
def test_it_lies_where_state_that_survives_a_restart_lies(environ, path):
    assert default_path(environ, 8001) == Path(path)


def test_without_a_home_or_a_port_of_its_own_there_is_no_place():
    assert default_path({}, 8001) is None
    assert default_path({"HOME": "/home/a"}, 0) is None


def test_the_configuration_has_the_last_word():
    environ = {"HOME": "/home/a"}
    listen = Address("127.0.0.1", 9000)
    assert file_of(Config(history=None), environ) is None
    assert file_of(Config(history=History("/data/h.db")), environ) == Path("/data/h.db")
    assert file_of(Config(listen=listen), environ) == default_path(environ, 9000)
