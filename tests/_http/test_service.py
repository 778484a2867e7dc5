import pytest

from multiproxy._http.service import Limits
from multiproxy.errors import BadFraming, HeadTooLarge, TargetTooLong

BOUNDS = Limits(head=1000, target=100)


@pytest.mark.parametrize(
    "data", [b"", b"GET /", b"GET /" + b"a" * 995, b"GET / HTTP/1.1\r\n" + b"a" * 984]
)
def test_what_may_yet_become_a_head_passes(data):
    BOUNDS.check_unfinished_head(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x16\x03\x01", BadFraming),
        (b"GET /" + b"a" * 996, TargetTooLong),
        (b"GET / HTTP/1.1\r\n" + b"a" * 985, HeadTooLarge),
    ],
)
def test_what_never_will_is_refused_before_it_ends(data, error):
    with pytest.raises(error):
        BOUNDS.check_unfinished_head(data)


def test_a_line_that_is_longer_than_a_target_and_its_surroundings_is_the_targets_fault():
    target, head = (BOUNDS.too_large(b"a" * size + b"\r\n") for size in (165, 164))
    assert type(target) is TargetTooLong
    assert type(head) is HeadTooLarge
    assert "100 bytes" in target.message
    assert "1000 bytes" in head.message
