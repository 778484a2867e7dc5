"""How problems look: in a terminal, and to a program."""

from multiproxy.config import ConfigError, Problem, as_json, render


def block(line: str, column: int, end: int | None = None, hint: str = "", end_line: int = 1) -> str:
    problem = Problem(1, column, "wrong", hint, "p", end_line, column + 1 if end is None else end)
    return render([problem], "c.yaml", line)


def test_a_report_is_a_block_for_each_problem_and_their_number(error_of):
    error = error_of("""\
        backends:
          - id: gpu-b
            url: http://b
            slot: 4




          - {url: http://c, weigth: 1}
        log: {format: jsn}
        """)
    assert (
        str(error)
        == """\
error: unknown setting 'slot'
 --> config.yaml:4:5
  |
4 |     slot: 4
  |     ^^^^ did you mean 'slots'?

error: unknown setting 'weigth'
 --> config.yaml:9:21
  |
9 |   - {url: http://c, weigth: 1}
  |                     ^^^^^^ did you mean 'weight'?

error: format can't be 'jsn'
  --> config.yaml:10:15
   |
10 | log: {format: jsn}
   |               ^^^ did you mean 'json'? one of: auto, text, json

3 problems in config.yaml"""
    )


def test_a_problem_of_the_file_itself_has_no_line():
    error = ConfigError([Problem(0, 0, "the file is empty", "write something")], "c.yaml")
    assert (
        str(error)
        == """\
error: the file is empty
 --> c.yaml
   = write something

1 problem in c.yaml"""
    )


def test_tabs_count_as_they_are_shown():
    assert block("a:\tb", 4, 5).splitlines()[3:5] == ["1 | a:    b", "  |       ^"]


def test_wide_characters_take_two_cells_and_combining_ones_none():
    assert block("漢e\u0301: x", 6, 7).splitlines()[3:5] == ["1 | 漢e\u0301: x", "  |      ^"]
    assert block("漢字: x", 1, 3).splitlines()[4] == "  | ^^^^"


def test_a_span_over_several_lines_is_underlined_to_the_end_of_its_first():
    assert block("a: 'b  \nc'", 4, 3, end_line=2).splitlines()[3:5] == ["1 | a: 'b", "  |    ^^"]


def test_the_end_of_the_file_can_be_pointed_at():
    assert block("", 1).splitlines()[3:5] == ["1 |", "  | ^"]
    assert render([Problem(9, 1, "wrong")], "c.yaml", "a").splitlines()[3:5] == ["9 |", "  | ^"]


def test_a_long_line_is_cut_around_the_caret():
    shown, caret = block("a" * 500 + "BAD" + "c" * 500, 501, 504).splitlines()[3:5]
    assert shown == "1 | …" + "a" * 40 + "BAD" + "c" * 57 + "…"
    assert caret == "  | " + " " * 41 + "^^^"


def test_a_long_line_is_not_cut_before_its_start_or_after_its_end():
    shown, caret = block("BAD" + "c" * 500, 1, 4).splitlines()[3:5]
    assert (shown, caret) == ("1 | BAD" + "c" * 97 + "…", "  | ^^^")
    shown, caret = block("c" * 500 + "BAD", 501, 504).splitlines()[3:5]
    assert (shown, caret) == ("1 | …" + "c" * 97 + "BAD", "  | " + " " * 98 + "^^^")


def test_a_span_longer_than_what_is_shown_is_cut_with_it():
    caret = block("x" * 500, 1, 501).splitlines()[4]
    assert caret == "  | " + "^" * 100


def test_the_lines_are_those_of_the_yaml_parser(only, error_of):
    error = error_of("backends: [{url: http://a}]\r\n# \x85# \u2028\rnope: 1")
    assert error.problems[0].line == 5
    assert "5 | nope: 1\n" in str(error)


def test_control_characters_do_not_reach_the_terminal(error_of):
    error = error_of('backends: [{url: http://a}]\n"\\e[31m": 1\n"a\u200b": 2')
    assert "unknown setting '\\x1b[31m'" in str(error)
    assert "unknown setting 'a\\u200b'" in str(error)
    assert "\x1b" not in str(error) and "\u200b" not in str(error)


def test_a_long_name_is_cut_in_the_message(only_more):
    assert only_more("x" * 500 + ": 1").message == f"unknown setting '{'x' * 60}…'"


def test_json_has_the_place_the_path_and_the_words(error_of):
    error = error_of("backends: [{url: http://a, slot: 4}]")
    assert as_json(error.problems) == [
        {
            "line": 1,
            "column": 28,
            "path": "backends.0.slot",
            "message": "unknown setting 'slot'",
            "hint": "did you mean 'slots'?",
        }
    ]
