"""What a server wrote: bounded, harmless, and without its secrets."""

from multiproxy.supervisor.output import KEPT_LINES, LONGEST_LINE, Output


def texts(output):
    return [line.text for line in output.lines]


def test_lines_are_the_same_wherever_the_pieces_are_cut():
    written = "loading model\r 10 %\r 99 %\n\nready: žluťoučký\nbegun".encode()
    for cut in range(len(written) + 1):
        output = Output(clock=lambda: 7.0)
        output.feed(written[:cut])
        output.feed(written[cut:])
        assert texts(output) == ["loading model", " 10 %", " 99 %", "ready: žluťoučký"]
        output.end()
        assert output.lines[-1] == (7.0, "begun")
        output.end()
        assert output.last == "begun", "once"


def test_only_the_last_lines_are_kept_and_of_long_ones_the_beginning():
    output = Output()
    for number in range(KEPT_LINES + 50):
        output.feed(b"line %d\n" % number)
    assert (len(output.lines), output.lines[0].text) == (KEPT_LINES, "line 50")
    for _ in range(1000):
        output.feed(b"x" * 1000)
    assert {len(text) for text in texts(output)} == {LONGEST_LINE}
    assert len(output._begun) <= 4 * LONGEST_LINE


def test_nothing_that_steers_a_terminal_comes_through():
    output = Output()
    output.feed(b"\x1b[31mred\x07\xff\n")
    assert output.last == "\\x1b[31mred\\x07\ufffd"


def test_secrets_of_the_command_line_are_masked_when_it_prints_them():
    output = Output(["sk-hidden", "on"])
    output.feed(b"main: api_keys: sk-hid")
    output.feed(b"den, and sk-hidden once more\n")
    assert output.last == "main: api_keys: ***, and *** once more", "'on' is no secret to look for"


def test_a_line_of_our_own_stands_among_them():
    output = Output()
    assert output.last == ""
    output.note("$ llama-server")
    assert output.last == "$ llama-server"
