import sys

import pytest

from multiproxy.worker import own_memory

MIB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_what_is_held_grows_by_what_is_taken():
    before = own_memory.held()
    taken = bytearray(b"x" * 64 * MIB)
    grown = own_memory.held() - before
    assert 60 * MIB < grown < 140 * MIB and len(taken) == 64 * MIB


def test_where_nobody_tells_it_is_nothing(tmp_path):
    assert own_memory.held(str(tmp_path / "statm")) == 0
    nothing = str(tmp_path / "nothing")
    assert own_memory.available(nothing, nothing, nothing) is None


@pytest.fixture
def machine(tmp_path):
    """``machine(limit, file)``: one of 8 GiB whose control group has this limit."""

    def build(limit: str = "", file: str = "memory.max") -> int | None:
        meminfo = tmp_path / "meminfo"
        meminfo.write_text("MemTotal:        8388608 kB\nMemFree:         1000 kB\n")
        if limit:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(limit + "\n")
        own = tmp_path / "own"
        own.write_text("0::/system.slice/multiproxy.service\n")
        return own_memory.available(str(meminfo), str(tmp_path), str(own))

    return build


def test_three_quarters_of_the_machine_are_available(machine):
    assert machine() == 6 * 1024 * MIB


@pytest.mark.parametrize(
    "file",
    [
        "memory.max",
        "memory/memory.limit_in_bytes",
        "system.slice/multiproxy.service/memory.max",
        "system.slice/memory.max",
    ],
)
def test_or_of_its_container_or_service_when_that_has_less(machine, file):
    assert machine(str(512 * MIB), file) == 384 * MIB


@pytest.mark.parametrize("limit", ["max", "9223372036854771712"])
def test_a_container_without_a_limit_has_the_machines(machine, limit):
    assert machine(limit) == 6 * 1024 * MIB
