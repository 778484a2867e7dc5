"""Variables and files inside texts."""

import pytest

from multiproxy.config.interpolate import Interpolation

ENVIRON = {"HOST": "gpu", "EMPTY": "", "RAW": "${HOST}: [a]", "BROKEN": "x\udcff"}
FILES = {"/key": "sk-1\n", "/windows": "sk-2\r\n", "/two": "a\n\n", "/empty": "\n", "/nul": ""}


def read_file(path: str) -> str:
    if path == "/denied":
        raise PermissionError(13, "Permission denied")
    if path == "/large":
        raise ValueError("larger than 65536 bytes")
    return FILES[path]


@pytest.fixture
def apply():
    return Interpolation(ENVIRON, read_file).apply


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("http://${HOST}:80", "http://gpu:80"),
        ("${HOST}${HOST}", "gpugpu"),
        ("${HOST:-other}", "gpu"),
        ("${NOPE:-other}", "other"),
        ("${NOPE:-}", ""),
        ("${EMPTY:-other}", "other"),
        ("${NOPE:-a:-b $x}", "a:-b $x"),
        ("${file:/key}", "sk-1"),
        ("${file:/windows}", "sk-2"),
        ("${file:/two}", "a\n"),
        ("$HOST $5 $$ $", "$HOST $5 $$ $"),
        ("$${HOST}", "${HOST}"),
        ("$${HOST} ${HOST}", "${HOST} gpu"),
    ],
)
def test_expressions_are_replaced(apply, text, expected):
    assert apply(text) == (expected, [])


def test_what_a_variable_holds_is_not_looked_at_again(apply):
    assert apply("${RAW}") == ("${HOST}: [a]", [])


@pytest.mark.parametrize(
    ("text", "expression", "message"),
    [
        ("x ${NOPE}", "${NOPE}", "environment variable NOPE is not set"),
        ("${EMPTY}", "${EMPTY}", "environment variable EMPTY is empty"),
        ("${BROKEN}", "${BROKEN}", "environment variable BROKEN is not UTF-8 text"),
        ("${file:/denied}", "${file:/denied}", "cannot read file '/denied': Permission denied"),
        ("${file:/large}", "${file:/large}", "cannot read file '/large': larger than 65536 bytes"),
        ("${file:/empty}", "${file:/empty}", "file '/empty' is empty"),
        ("${file:/nul}", "${file:/nul}", "file '/nul' is empty"),
        ("${HOST", "${", "'${' has no '}'"),
        ("${}", "${}", "'${...}' must be ${NAME}, ${NAME:-default} or ${file:/path}"),
        ("${a-b}", "${a-b}", "'${...}' must be ${NAME}, ${NAME:-default} or ${file:/path}"),
        ("${HOST}${ÄH}", "${ÄH}", "'${...}' must be ${NAME}, ${NAME:-default} or ${file:/path}"),
    ],
)
def test_an_expression_without_a_value_is_a_fault_that_names_it(apply, text, expression, message):
    _, (fault,) = apply(text)
    assert (fault.expression, fault.message) == (expression, message)


def test_every_fault_of_a_text_is_found(apply):
    _, faults = apply("${A} ${HOST} ${B}")
    assert [fault.expression for fault in faults] == ["${A}", "${B}"]
