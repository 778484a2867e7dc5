"""What is shown of a value reads back as that value."""

import pytest

from multiproxy.config import Address, Config, Duration, Size, Url
from multiproxy.config.scalar import is_scalar, value_of
from multiproxy.config.setting import About, Setting, settings_of
from multiproxy.config.values import KIB, MIB
from multiproxy.config.written import item_of, written

NOTHING = About("")


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (Duration, 0.0, 0),
        (Duration, 0.5, "500ms"),
        (Duration, 2.0, "2s"),
        (Duration, 75.0, "75s"),
        (Duration, 90.25, "90.25s"),
        (Duration, 300.0, "5m"),
        (Duration, 21600.0, "6h"),
        (Duration, 2 * 86400.0, "2d"),
        (Size, 0, 0),
        (Size, 1000, 1000),
        (Size, 16 * KIB, "16KiB"),
        (Size, 32 * MIB, "32MiB"),
        (Size, 32 * 10**6, "32MB"),
        (float, 40.0, 40),
        (float, 12.5, 12.5),
        (bool, True, True),
        (Address, Address("::1", 80), "[::1]:80"),
        (Url, Url("http", "gpu", 8080, "/x"), "http://gpu:8080/x"),
    ],
)
def test_a_value_is_written_shortly_and_reads_back(hint, value, text):
    shown = written(hint, NOTHING, value)
    assert (shown, type(shown)) == (text, type(text))
    assert value_of(hint, NOTHING, str(shown), "") == value


def test_nothing_is_auto_only_where_that_word_is_known():
    assert written(int, About("", auto=True), None) == "auto"
    assert written(int, NOTHING, None) is None


def sections(section: type) -> list[type]:
    found = [section]
    for setting in settings_of(section).values():
        inner = item_of(setting.hint) or setting.hint
        if not is_scalar(inner):
            found += sections(inner)
    return found


@pytest.mark.parametrize(
    "setting",
    [setting for section in sections(Config) for setting in settings_of(section).values()],
    ids=lambda setting: setting.name,
)
def test_every_default_reads_back(setting: Setting):
    if is_scalar(setting.hint) and not setting.required and setting.default is not None:
        text = str(written(setting.hint, setting.about, setting.default))
        assert value_of(setting.hint, setting.about, text, text) == setting.default
