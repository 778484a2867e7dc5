"""Rank, limits and models of a key's owner."""

import pytest

from multiproxy.auth import ANYONE, Principal, Priority
from multiproxy.config import Key
from multiproxy.errors import NotAllowed

ANN = Principal.of(Key("ann", "", priority="interactive"), 5)
BOB = Principal.of(Key("bob", "", models=("small", "qwen2.5-*"), max_concurrent=2), 3)


def test_a_principal_has_its_row_its_rank_and_its_limits():
    assert (ANN.index, ANN.priority, ANN.max_concurrent) == (5, Priority.INTERACTIVE, 16)
    assert (BOB.index, BOB.priority, BOB.max_concurrent) == (3, Priority.NORMAL, 2)
    assert Priority.INTERACTIVE < Priority.NORMAL < Priority.BATCH


def test_a_key_covers_the_models_it_names_and_no_others():
    names = ("small", "smaller", "qwen2.5-7b", "qwen2.5", "qwen2x5-7b", "big")
    assert [name for name in names if BOB.may_use(name)] == ["small", "qwen2.5-7b"]
    assert all(ANN.may_use(name) and ANYONE.may_use(name) for name in names)


def test_a_model_that_is_not_covered_is_refused_under_the_name_it_was_asked_by():
    BOB.check_model("small", "gpt-4o")
    with pytest.raises(NotAllowed, match="`gpt-4o`") as refused:
        BOB.check_model("big", "gpt-4o")
    assert (refused.value.status, refused.value.param) == (403, "model")
