"""The schema itself: documented, frozen, with defaults that obey their own bounds."""

from dataclasses import FrozenInstanceError, is_dataclass
from typing import get_args, get_origin

import pytest

from multiproxy.config import Backend, Config, Limits, Retry, Timeouts
from multiproxy.config.scalar import is_scalar
from multiproxy.config.setting import Setting, settings_of


def sections(section: type = Config) -> list[type]:
    """Every section of the config, each once."""
    found = [section]
    for setting in settings_of(section).values():
        hint = get_args(setting.hint)[0] if get_origin(setting.hint) is tuple else setting.hint
        if is_dataclass(hint) and not is_scalar(hint):
            found += sections(hint)  # type: ignore[arg-type]
    return found


SETTINGS = [
    pytest.param(setting, id=f"{section.__name__}.{setting.name}")
    for section in sections()
    for setting in settings_of(section).values()
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_is_documented_in_one_line(setting: Setting):
    assert setting.about.doc and "\n" not in setting.about.doc
    assert not setting.about.doc.endswith(".")


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_number_is_bounded_and_its_default_is_within(setting: Setting):
    is_switch = isinstance(setting.default, bool)
    if isinstance(setting.default, int | float) and not is_switch:
        assert setting.about.least <= setting.default <= setting.about.most
    if setting.about.auto:
        assert setting.optional and setting.default is None
        assert setting.hint is str or setting.about.least >= 1


def test_the_defaults_are_those_of_the_documentation():
    assert str(Config().listen) == "127.0.0.1:8001"
    assert str(Config().dashboard.listen) == "127.0.0.1:8080"
    assert Timeouts() == Timeouts(2, 0, 300, 60, 600, 10, 30, 300, 75, 60, 21600, 10)
    assert Retry() == Retry(3)
    assert Limits() == Limits(
        33554432, 536870912, None, 50_000, 16384, 8192, 8192, 100, 10000, 256, 4194304, 67108864, 8
    )  # fmt: skip


def test_a_config_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Config().workers = 2


def test_a_key_is_not_shown():
    assert "sk-1" not in repr(Config(backends=(Backend("a", api_key="sk-1"),)))
