"""YAML that is not YAML, or that is more YAML than a config needs."""

import pytest


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ("backends:\n\t- url: x", 2, 1, "indent with spaces: YAML does not allow tabs"),
        ("listen: @x", 1, 9, "put the text in quotes"),
        ("cors_origins: [*]", 1, 17, "a text that starts with * needs quotes"),
        ("cors_origins: *x", 1, 15, "a text that starts with * needs quotes"),
        (
            "listen: a: b",
            1,
            10,
            "check the indentation; a text with ': ' in it needs quotes",
        ),
        (
            "backends:\n- url: a\n  - url: b",
            3,
            3,
            "check the indentation: the keys of one section line up (it began on line 2)",
        ),
        ("a: '\n\nb", 3, 2, "a quote or bracket is not closed (it began on line 1)"),
        ("a: 1\n--- \nb: 2", 2, 1, "(it began on line 1)"),
        ("a: b\0c", 1, 5, ""),
        ('a: "\\UFFFFFFFF"', 1, 7, ""),
        ('a: "\\ud800"', 1, 4, ""),
    ],
)
def test_a_syntax_error_has_a_place_and_often_a_hint(only, text, line, column, hint):
    problem = only(text)
    assert problem.message.startswith("not YAML: ")
    assert (problem.line, problem.column, problem.hint) == (line, column, hint)


def test_a_tag_is_refused_together_with_everything_else(error_of):
    error = error_of("""\
        backends: [{url: !!python/object/apply:os.system ['x'], slot: 1}]
        """)
    assert [(problem.line, problem.column, problem.message) for problem in error.problems] == [
        (1, 18, "YAML tags (!...) are not used here"),
        (1, 18, "url must be a single value"),
        (1, 57, "unknown setting 'slot'"),
    ]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_a_problem_and_not_a_recursion(only, opening):
    assert only(opening * 5000).message == "not YAML: nested more than 32 levels deep"


def test_an_alias_repeats_a_value(read):
    config = read("""\
        backends:
          - {url: http://a:1, api_key: &key k}
          - {url: http://b:1, api_key: *key}
        """)
    assert [backend.api_key for backend in config.backends] == ["k", "k"]


def test_a_merge_key_fills_in_what_is_not_written(read):
    config = read("""\
        backends:
          - &base {url: http://a:1, id: a, weight: 3}
          - {<<: *base, url: http://b:1, id: b}
          - <<: [{weight: 5}, *base]
            id: c
        """)
    assert [(b.id, str(b.url), b.weight) for b in config.backends] == [
        ("a", "http://a:1", 3),
        ("b", "http://b:1", 3),
        ("c", "http://a:1", 5),
    ]


def test_an_alias_inside_itself_is_a_problem(only):
    assert only("backends: [{url: http://a}]\nmodels: &m\n  <<: *m\n").message == (
        "'<<' takes a section, or a list of them, to merge in"
    )


def test_aliases_that_multiply_are_stopped(error_of):
    lines = ["backends: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    merged = ["models:", "  m0: &m0 {<<: [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]}"]
    merged += [f"  m{i + 1}: &m{i + 1} {{<<: [{', '.join([f'*m{i}'] * 10)}]}}" for i in range(8)]
    error = error_of("\n".join(lines + merged))
    assert error.problems[-1].message == "more than 50000 values: too many"


def test_a_list_repeated_by_many_models_is_stopped(error_of):
    models = "\n".join(f"  m{i}: *list" for i in range(1000))
    text = f"backends: [{{url: http://a, id: a}}]\nmodels:\n  m: &list [{'a,' * 1000}]\n{models}"
    assert "more than 50000 values: too many" in [
        problem.message for problem in error_of(text).problems
    ]
