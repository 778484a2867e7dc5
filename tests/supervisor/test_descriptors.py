import os
import resource
import socket
import subprocess
import sys

import pytest

from multiproxy.config import Address
from multiproxy.supervisor import descriptors
from multiproxy.supervisor.descriptors import (
    CannotListen,
    Lifeline,
    bound_address,
    file_of,
    listen,
    raise_descriptor_limit,
)


def test_a_taken_address_is_named_with_the_way_to_its_holder():
    with listen(Address("127.0.0.1", 0), "the API") as holder:
        taken = bound_address(holder)
        with pytest.raises(CannotListen) as failure:
            listen(taken, "the API")
    assert str(failure.value).startswith(f"the API cannot listen on {taken}: Address already in")
    assert f"ss -ltnp 'sport = :{taken.port}'" in str(failure.value)


def test_an_unknown_host_is_a_clear_error():
    with pytest.raises(CannotListen, match="the dashboard cannot listen on nowhere.invalid:80"):
        listen(Address("nowhere.invalid", 80), "the dashboard")


def test_localhost_is_the_ipv4_one():
    with listen(Address("localhost", 0), "the API") as sock:
        assert sock.getsockname()[0] == "127.0.0.1"
        assert not sock.getblocking()


@pytest.mark.parametrize("has_memfd", [True, False])
def test_a_snapshot_is_read_from_its_start_and_then_gone(monkeypatch, has_memfd):
    if not has_memfd:
        monkeypatch.delattr(os, "memfd_create")
    fd = file_of(b"the config", "test-")
    with open(fd, "rb") as file:
        assert file.read() == b"the config"
        assert os.fstat(file.fileno()).st_nlink == 0


def test_the_lifeline_reads_its_end_only_when_the_holder_is_gone():
    lifeline = Lifeline()
    child = subprocess.Popen(
        [sys.executable, "-c", f"import os; print('up', flush=True); os.read({lifeline.fd}, 1)"],
        pass_fds=(lifeline.fd,),
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout.readline() == b"up\n"
        assert child.poll() is None
        lifeline.close()
        assert child.wait(10) == 0


def test_the_descriptor_limit_is_raised_as_far_as_it_goes(monkeypatch):
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1_024, 4_096))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: limits.append(limit))
    raise_descriptor_limit()
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1_024, resource.RLIM_INFINITY))
    raise_descriptor_limit()
    assert limits == [(4_096, 4_096), (descriptors.MOST_DESCRIPTORS, resource.RLIM_INFINITY)]


def test_a_listener_survives_in_a_child_that_inherits_it():
    with listen(Address("127.0.0.1", 0), "the API") as sock:
        fd = sock.fileno()
        program = f"import socket; print(socket.socket(fileno={fd}).getsockname()[1])"
        output = subprocess.check_output([sys.executable, "-c", program], pass_fds=(fd,))
        assert int(output) == bound_address(sock).port
        assert socket.socket.get_inheritable(sock) is False
