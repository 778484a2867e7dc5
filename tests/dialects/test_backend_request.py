"""What every translated request carries."""

from typing import Any

from dialects.responses_run import turn

from multiproxy.dialects.policy import Policy

STRICT = Policy(engine="strict")


def chat(policy: Policy | None = None, **members: Any) -> dict[str, Any]:
    return turn(policy, **members).body


def messages(items: list[Any], policy: Policy | None = None, **members: Any) -> list[Any]:
    out: list[Any] = chat(policy, input=items, **members)["messages"]
    return out


def test_a_string_becomes_one_user_message_in_a_stream_with_usage() -> None:
    assert chat(STRICT) == {
        "model": "demo",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_llama_server_is_asked_for_progress_and_the_stop_reason() -> None:
    body = chat()
    assert body["return_progress"] is True and body["verbose"] is True
    assert body["response_fields"] == ["stop_type", "stopping_word", "truncated"]


def test_llama_cpps_own_fields_pass_to_llama_cpp_only() -> None:
    members = {"min_p": 0.1, "dry_base": 2, "mirostat": 1, "seed": 7, "unknown": 1, "id_slot": None}
    assert chat(ignore_eos=True)["ignore_eos"] is True
    body = chat(**members)
    assert (body["min_p"], body["dry_base"], body["mirostat"], body["seed"]) == (0.1, 2, 1, 7)
    assert "unknown" not in body and "id_slot" not in body
    assert "min_p" not in chat(STRICT, **members)


def test_a_llama_server_is_told_to_go_on_with_the_assistants_words() -> None:
    items = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "The answer is"}]
    body = chat(input=items)
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    for other in (chat(), chat(STRICT, input=items)):
        assert "continue_final_message" not in other and "add_generation_prompt" not in other
