"""Choices about translations: words of a template, and text around a text."""

import pytest

from multiproxy.config import Effort


def test_levels_that_are_not_given_stay_as_they_are(read):
    config = read(
        "backends: [{url: http://a}]\ntranslation: {effort: {max: extreme, minimal: none}}"
    )
    assert config.translation.effort == Effort(minimal="none", max="extreme")
    assert (config.translation.effort.low, config.translation.effort.xhigh) == ("low", "high")


def test_a_reminder_may_have_lines(read):
    config = read("""\
backends: [{url: http://a}]
translation:
  reminder: |-
    [note]
    {text}
""")
    assert config.translation.reminder == "[note]\n{text}"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("reminder: note", "{text}"),
        ("effort: {low: a b}", "letters"),
        ("effort: {huge: max}", "huge"),
    ],
)
def test_what_could_not_be_sent_is_a_mistake(only, setting, says):
    found = only(f"backends: [{{url: http://a}}]\ntranslation: {{{setting}}}\n")
    assert says in found.message
