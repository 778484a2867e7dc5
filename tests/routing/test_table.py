"""Requested names -> models and the backends that may serve them."""

from collections import Counter

import pytest

from multiproxy.config import Arm, Mirror, Model
from multiproxy.routing import table as table_module
from multiproxy.routing.affinity import marks_of
from multiproxy.routing.table import Reported, Route, Table

INDICES = {"a": 0, "b": 1, "c": 2}
QWEN = Model("qwen", ("a", "b"), ("gpt-4o", "gpt-*", "claude-*-fast"), None)
LLAMA = Model("llama", ("c",), ("gpt-4-turbo", "gpt-4*"), "llama-q4")


def configured(*models: Model, default: str | None = None, reports=None) -> Table:
    return Table(models or (QWEN, LLAMA), default, INDICES, reports or {})


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("qwen", "qwen"),  # exact
        ("gpt-4o", "qwen"),  # an alias wins against a longer wildcard
        ("gpt-4-turbo", "llama"),
        ("gpt-4.1", "llama"),  # the longest wildcard wins
        ("gpt-5", "qwen"),
        ("gpt-", "qwen"),  # a star may stand for nothing
        ("claude-haiku-fast", "qwen"),
        ("claude--fast", "qwen"),
        ("claude-haiku-slow", None),
        ("claude-haiku-fast-2", None),
        ("xgpt-5", None),  # a pattern is the whole name
        ("gpt", None),
        ("QWEN", None),
        ("qwe", None),
        ("", None),
        ("gpt-5\nx", "qwen"),
        ("gptX5", None),
    ],
)
def test_a_name_finds_its_model(name, model):
    found = configured().resolve(name)
    assert (found and found.model) == model
    again = configured()
    assert [again.resolve(name) for _ in range(2)] == [found, found]


def test_an_exact_name_wins_against_another_models_alias():
    table = configured(Model("x", ("a",), ("y", "y*")), Model("y", ("b",)))
    assert table.resolve("y") == Route("y", (1,))


def test_dots_and_brackets_of_a_wildcard_are_themselves():
    table = configured(Model("x", ("a",), ("v1.5-*",)))
    assert table.resolve("v1.5-x") is not None
    assert table.resolve("v1x5-x") is None


def test_a_route_names_its_backends_in_configured_order_and_what_to_send():
    assert configured().resolve("gpt-4o") == Route("qwen", (0, 1), {})
    assert configured().resolve("gpt-4.1") == Route("llama", (2,), {2: "llama-q4"})


def test_without_backends_a_model_is_where_it_is_reported():
    reports = {0: Reported(("other",)), 1: Reported(("x", "y")), 2: Reported(("z",), ("qwen",))}
    table = configured(Model("qwen"), Model("x"), Model("gone"), reports=reports)
    assert table.resolve("qwen") == Route("qwen", (2,))
    assert table.resolve("x") == Route("x", (1,))
    assert table.resolve("gone") == Route("gone", ())


def test_a_router_is_sent_the_models_own_name():
    reports = {0: Reported(("qwen", "x"), many=True), 1: Reported(("anything",))}
    assert configured(reports=reports).resolve("gpt-5") == Route("qwen", (0, 1), {0: "qwen"})


def test_send_as_wins_against_the_routers_name():
    reports = {2: Reported(("llama-q4",), many=True)}
    assert configured(reports=reports).resolve("llama").send_as == {2: "llama-q4"}


def test_unknown_names_go_to_the_default():
    table = configured(default="gpt-4o")
    assert table.resolve("unknown").model == "qwen"
    assert table.resolve("llama").model == "llama"
    assert table.lookup("unknown") is None


def test_no_name_is_the_default():
    assert configured(default="llama").resolve(None).model == "llama"


def test_no_name_is_the_only_model_there_is():
    assert configured(QWEN).resolve(None).model == "qwen"
    assert configured().resolve(None) is None
    assert Table((), None, INDICES, {}).resolve(None) is None


def test_models_are_what_backends_report_when_none_is_configured():
    reports = {
        0: Reported(("x", "y"), ("nick",)),
        1: Reported(("y", "nick")),
        2: Reported(("z",), ("x", "zed")),
    }
    table = Table((), None, INDICES, reports)
    assert table.resolve("x") == Route("x", (0,))  # a name, though it is another's alias
    assert table.resolve("y") == Route("y", (0, 1))
    assert table.resolve("nick") == Route("nick", (1,))
    assert table.resolve("zed") == Route("zed", (2,))
    assert table.resolve("other") is None


def test_discovered_models_follow_the_configured_order_of_backends():
    reports = {1: Reported(("m",)), 0: Reported(("m",))}
    assert Table((), None, {"b": 1, "a": 0}, reports).resolve("m").candidates == (1, 0)


def test_a_default_that_nobody_has_reported_yet_is_anybodys():
    assert Table((), "demo", INDICES, {}).resolve("x") == Route("demo", (0, 1, 2))
    reports = {1: Reported(("demo",))}
    assert Table((), "demo", INDICES, reports).resolve("x") == Route("demo", (1,))


def test_the_models_are_listed_once_each():
    assert [route.model for route in configured().models] == ["qwen", "llama"]


def test_names_that_clients_make_up_do_not_fill_the_memory():
    table = configured()
    for number in range(3 * table_module.MAX_REMEMBERED):
        assert table.resolve(f"made-up-{number}") is None
        assert table.resolve(f"gpt-{number}") is not None
        assert len(table._remembered) <= table_module.MAX_REMEMBERED


# -- rules ---------------------------------------------------------------------------------------


def test_tags_choose_backends():
    tags = {"a": frozenset({"big", "eu"}), "b": frozenset({"big"}), "c": frozenset()}
    models = (
        Model("all-big", tags=("big",)),
        Model("big-in-eu", tags=("eu", "big")),
        Model("listed", ("b", "c"), tags=("big",)),
        Model("nobody", tags=("small",)),
    )
    table = Table(models, None, INDICES, {}, tags)
    found = {model.name: table.resolve(model.name).candidates for model in models}
    assert found == {"all-big": (0, 1), "big-in-eu": (0,), "listed": (1,), "nobody": ()}


SPLIT = (
    Model("assistant", split=(Arm("qwen", 90), Arm("llama", 10)), aliases=("gpt-*",)),
    Model("qwen", ("a", "b"), fallback=("llama",)),
    Model("llama", ("c",)),
)


def test_the_parts_of_a_split_know_it_and_take_over_its_mirror():
    mine, its = Mirror("shadow", 0.5), Mirror("shadow")
    models = (
        Model("x", split=(Arm("y", 1), Arm("z", 1)), mirror=its),
        Model("y", ("a",), mirror=mine),
        Model("z", ("c",)),
        Model("shadow", ("b",)),
    )
    table = Table(models, None, INDICES, {})
    route = table.resolve("x")
    assert route is not None
    assert [(arm.split, arm.mirror) for arm, _ in route.arms] == [("x", mine), ("x", its)]
    alone = table.resolve("z")
    assert alone is not None
    assert (alone.split, alone.mirror) == ("", None)


def test_a_split_gives_each_arm_its_share_and_keeps_every_conversation_on_its_arm():
    route = configured(*SPLIT).resolve("gpt-x")
    assert (route.model, route.candidates) == ("assistant", (0, 1, 2))
    counts = Counter()
    for number in range(10_000):
        arms = {
            route.arm(
                marks_of(b"", b"h", [number] + [7] * length, [4] * (1 + length), 9)[1].key
            ).model
            for length in range(3)
        }
        assert len(arms) == 1
        counts.update(arms)
    assert abs(counts["qwen"] / 10_000 - 0.9) < 0.01
    assert counts.keys() == {"qwen", "llama"}


def test_an_arm_without_backends_leaves_its_conversations_to_the_others():
    models = (Model("x", split=(Arm("y", 1), Arm("z", 1))), Model("y"), Model("z", ("c",)))
    route = configured(*models).resolve("x")
    assert {route.arm(key).model for key in range(1, 50)} == {"z"}


def test_a_route_names_what_it_falls_back_on():
    assert configured(*SPLIT).resolve("qwen").fallback == ("llama",)
    assert configured(*SPLIT).resolve("llama").fallback == ()
