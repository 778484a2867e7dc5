"""traceparent and tracestate: what is believed, and what the next station is told."""

import pytest

from multiproxy._http.trace_context import NO_PARENT, SIZE, Trace, decode, read, span_id

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{ID}-{SPAN}-01".encode()


def test_a_trace_is_read_and_told_to_the_next_with_our_span():
    trace = read([PARENT], [b"congo=t61rcWkgMzE, rojo=00f067aa0ba902b7"])
    assert trace == Trace(
        bytes.fromhex(ID), bytes.fromhex(SPAN), 1, b"congo=t61rcWkgMzE, rojo=00f067aa0ba902b7"
    )
    assert (
        trace.fields(bytes.fromhex("a1b2c3d4e5f60708"))
        == (
            f"traceparent: 00-{ID}-a1b2c3d4e5f60708-01\r\n"
            "tracestate: congo=t61rcWkgMzE, rojo=00f067aa0ba902b7\r\n"
        ).encode()
    )


def test_without_a_state_there_is_no_field_for_it():
    assert read([PARENT], []).fields(bytes(7) + b"\1").count(b"\r\n") == 1


def test_a_later_version_is_read_as_far_as_it_is_known():
    trace = read([f"01-{ID}-{SPAN}-ff-more".encode()], [])
    assert (trace.id.hex(), trace.flags) == (ID, 3)


@pytest.mark.parametrize(
    "parents",
    [
        [], [PARENT, PARENT], [b""], [PARENT.upper()], [PARENT + b"-x"], [PARENT[:-1]],
        [b"ff" + PARENT[2:]], [f"00-{'0' * 32}-{SPAN}-01".encode()],
        [f"00-{ID}-{'0' * 16}-01".encode()], [PARENT + b" "], [PARENT.replace(b"-", b"_")],
    ],
)  # fmt: skip
def test_what_is_malformed_is_no_trace(parents):
    assert read(parents, [b"a=b"]) is None


@pytest.mark.parametrize(
    "states",
    [[b"a"], [b"=b"], [b"a=b", b"c=d,"], [b"a=" + b"x" * 600], [b"a=\x01"], [b"A=b"]],
)
def test_a_malformed_state_is_dropped_and_the_trace_goes_on(states):
    assert read([PARENT], states) == (bytes.fromhex(ID), bytes.fromhex(SPAN), 1, b"")


def test_several_fields_of_state_are_one():
    assert read([PARENT], [b"a=1", b"b@vendor=2"]).state == b"a=1,b@vendor=2"


def test_a_trace_fits_into_a_record():
    trace = Trace(bytes.fromhex(ID), NO_PARENT, 1)
    assert len(trace.encode()) == SIZE
    assert decode(trace.encode()) == trace


def test_each_attempt_has_a_span_of_its_own_that_anybody_can_tell():
    spans = {span_id("9f2c60abcdef", attempt) for attempt in range(4)}
    assert len(spans) == 4 and all(len(span) == 8 for span in spans)
    assert span_id("9f2c60abcdef", 1) == span_id("9f2c60abcdef", 1)
    assert span_id("9f2c60abcdee", 1) not in spans
