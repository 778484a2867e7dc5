from pathlib import Path

import orjson
import pytest

from multiproxy.scoreboard.layout import FACTS_SIZE
from multiproxy.supervisor.facts import encode, facts_of, is_sleeping, parse

WIRE = Path(__file__).parent.parent / "wire"


def recorded(name):
    return parse((WIRE / f"{name}.txt").read_bytes().partition(b"\r\n\r\n")[2])


def test_facts_of_a_recorded_llama_server():
    facts = facts_of(recorded("props"), recorded("models.v1"), is_llama=True)
    caps = facts.pop("chat_template_caps")
    assert facts == {
        "kind": "llama.cpp",
        "build": "b0-unknown",
        "router": False,
        "slots": 2,
        "n_ctx": 2048,
        "modalities": {},
        "models": [
            {
                "id": "tiny-chat",
                "aliases": ["tiny-chat"],
                "n_ctx": 2048,
                "n_ctx_train": 131072,
                "input_modalities": ["text"],
                "status": "loaded",
            }
        ],
    }
    assert caps["supports_tools"] is True
    assert caps["supports_reasoning_effort"] is False


def test_facts_of_a_recorded_router_name_the_status_of_each_model():
    facts = facts_of(recorded("router.props"), recorded("router.models.after"), is_llama=True)
    assert (facts["router"], facts["slots"], facts["n_ctx"]) == (True, 0, 0)
    models = {model["id"]: model for model in facts["models"]}
    assert models["tiny-chat"]["status"] == "loaded"
    assert models["tiny-chat"]["n_ctx"] == 2048
    assert models["tiny-think"]["status"] == "unloaded"
    assert models["tiny-think"]["n_ctx"] == 0


def test_sleeping_is_read_from_recorded_props():
    assert is_sleeping(recorded("sleep.props"))
    assert not is_sleeping(recorded("props"))
    assert not is_sleeping(None)


def test_a_server_of_another_kind_gives_its_models_and_no_numbers():
    facts = facts_of(None, {"data": [{"id": "m", "max_model_len": 4096}]}, is_llama=False)
    assert (facts["kind"], facts["slots"], facts["n_ctx"]) == ("other", 0, 0)
    assert facts["models"][0]["n_ctx"] == 4096


@pytest.mark.parametrize(
    ("props", "models"),
    [
        ({"total_slots": "4", "default_generation_settings": []}, {"data": {}}),
        ({"total_slots": -1, "build_info": 7, "modalities": None}, {"data": [1, {"id": 3}, {}]}),
        ({"total_slots": True, "chat_template_caps": {"a": "yes"}}, {"data": [{"id": ""}]}),
        ({"total_slots": 2**40}, {}),
    ],
)
def test_fields_of_a_wrong_type_count_as_missing(props, models):
    facts = facts_of(props, models, is_llama=False)
    assert (facts["slots"], facts["n_ctx"], facts["models"]) == (0, 0, [])
    assert (facts["build"], facts["modalities"], facts["chat_template_caps"]) == ("", {}, {})


def test_a_list_of_models_that_does_not_fit_is_cut_and_says_so():
    models = {"data": [{"id": f"model-{number:04}" * 5} for number in range(1_000)]}
    facts = facts_of(None, models, is_llama=False)
    stored = orjson.loads(encode(facts))
    assert len(encode(facts)) <= FACTS_SIZE
    assert stored["truncated"] is True
    assert 100 < len(stored["models"]) < 1_000
    assert stored["models"] == facts["models"][: len(stored["models"])]
    assert "truncated" not in orjson.loads(encode(facts_of(None, None, False)))


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b'"text"'])
def test_what_is_no_object_is_nothing(body):
    assert parse(body) is None
