"""Host and Origin: what is ours, what is refused."""

import pytest

from multiproxy.errors import BadFraming, Misdirected, NotAllowed
from multiproxy.supervisor.dashboard.admission import Admission


@pytest.mark.parametrize(
    ("authority", "local"),
    [
        ("localhost", "127.0.0.1"),
        ("localhost:8080", "127.0.0.1"),
        ("LOCALHOST:9", "127.0.0.1"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]:8080", "::1"),
        ("192.168.1.5:8080", "192.168.1.5"),
        ("[fd00::5]", "fd00::5"),
        ("gpu.lan:8080", "192.168.1.5"),
        ("GPU.lan", "192.168.1.5"),
    ],
)
def test_our_own_names_are_admitted_at_any_port(authority, local):
    Admission(["gpu.lan"]).check_host(authority, local)


@pytest.mark.parametrize(
    "authority",
    ["evil.example", "evil.example:8080", "localhost.evil.example", "192.168.1.6", "xgpu.lan", "0"],
)
def test_a_name_that_is_not_ours_is_misdirected(authority):
    with pytest.raises(Misdirected):
        Admission(["gpu.lan"]).check_host(authority, "192.168.1.5")


@pytest.mark.parametrize(
    "authority",
    ["", "localhost:", "localhost:x", "user@localhost", "localhost/x", "localhost,localhost",
     "local host", "[::1", "localhost:123456", "localhost#"],
)  # fmt: skip
def test_what_is_no_host_at_all_is_bad_framing(authority):
    with pytest.raises(BadFraming):
        Admission([]).check_host(authority, "127.0.0.1")


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        (None, None),
        ("http://localhost:8080", None),
        ("https://localhost:8080", "same-origin"),
        (None, "none"),
    ],
)
def test_our_own_pages_and_programs_may_post(origin, site):
    Admission([]).check_origin("localhost:8080", origin, site)


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("http://evil.example", None),
        ("http://localhost:3000", None),
        ("null", None),
        ("null", "same-origin"),
        ("null", "cross-site"),
        ("file://localhost:8080", None),
        (None, "cross-site"),
        (None, "same-site"),
        ("http://localhost:8080", "cross-site"),
    ],
)
def test_another_page_may_not_post(origin, site):
    with pytest.raises(NotAllowed):
        Admission([]).check_origin("localhost:8080", origin, site)
