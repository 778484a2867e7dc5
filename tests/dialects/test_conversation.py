"""The order and shape that chat templates accept, whatever order a client used."""

from typing import Any

import pytest

from multiproxy.dialects.conversation import arrange, joined, text_of
from multiproxy.dialects.policy import Policy


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: str = "", *call_ids: str, reasoning: str = "") -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning:
        message["reasoning_content"] = reasoning
    if call_ids:
        message["tool_calls"] = [{"id": call_id} for call_id in call_ids]
    return message


def tool(call_id: str, content: Any = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def arranged(*messages: dict[str, Any], **policy: Any) -> list[dict[str, Any]]:
    return arrange(messages, Policy(**policy))


def test_leading_system_messages_are_one_and_empty_ones_none() -> None:
    assert arranged(system("a"), system(""), system("b"), user("x"))[0] == system("a\n\nb")
    assert arranged(system(""), user("x")) == [user("x")]
    assert arranged() == []


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([user("hi")], [user("hi\n\n[S]")]),
        ([assistant("a")], [assistant("a"), user("[S]")]),
        ([user("u"), assistant("", "c"), tool("c")],
         [user("u"), assistant("", "c"), tool("c", "ok\n\n[S]")]),
    ],
    ids=["behind user text", "behind an answer", "behind a result"],
)  # fmt: skip
def test_a_system_message_in_the_middle_is_folded(before: Any, expected: Any) -> None:
    assert arranged(*before, system("S"), reminder="[{text}]") == expected


def test_a_folded_message_before_user_text_begins_it() -> None:
    out = arranged(user("a"), assistant("b"), system("S"), user("c"), reminder="[{text}]")
    assert out[-1] == user("[S]\n\nc")


def test_other_modes_keep_or_hoist_system_messages() -> None:
    messages = (system("a"), user("x"), system("b"))
    assert arranged(*messages, mid_system="keep") == list(messages)
    assert arranged(*messages, mid_system="hoist") == [system("a\n\nb"), user("x")]


def test_a_folded_message_is_a_part_where_content_is_parts() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    (message,) = arranged(user([image]), system("S"), reminder="[{text}]")
    assert message["content"] == [image, {"type": "text", "text": "[S]"}]


def test_user_text_and_parts_are_put_together() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    (message,) = arranged(user("a"), user([image]), user(""), user("b"))
    text = [{"type": "text", "text": letter} for letter in "ab"]
    assert message["content"] == [text[0], image, text[1]]


def test_assistant_messages_are_put_together_without_separators() -> None:
    parts = (
        assistant("a", reasoning="r"),
        assistant("", "c1"),
        assistant("b", "c2", reasoning="s"),
    )
    (message, *_) = arranged(*parts)
    assert message == assistant("ab", "c1", "c2", reasoning="r\ns")


def test_results_follow_their_calls_in_the_given_order() -> None:
    messages = (user("u"), assistant("", "a", "b"), user("x"), tool("b"), system("S"), tool("a"))
    out = arranged(*messages, reminder="[{text}]")
    assert out == [user("u"), assistant("", "a", "b"), tool("b"), tool("a"), user("x\n\n[S]")]


def test_calls_in_several_messages_are_one_turn_and_calls_behind_results_another() -> None:
    first = (user("u"), assistant("", "a"), assistant("", "b"), tool("a"), tool("b"))
    assert arranged(*first)[1] == assistant("", "a", "b")
    second = (user("u"), assistant("", "a"), tool("a"), assistant("", "b"), tool("b"))
    assert arranged(*second) == list(second)


def test_an_orphaned_result_stays_in_its_place() -> None:
    assert arranged(user("u"), tool("x")) == [user("u"), tool("x")]


def test_empty_and_trailing_blank_answers_are_left_out() -> None:
    assert arranged(user("u"), assistant(""), user("v")) == [user("u\n\nv")]
    assert arranged(user("u"), assistant(" \n")) == [user("u")]
    assert arranged(user("u"), assistant("", reasoning="r"))[1]["reasoning_content"] == "r"
    assert arranged(user("u"), assistant("The answer is"))[1] == assistant("The answer is")


def test_the_given_messages_are_not_changed() -> None:
    messages = [user("a"), user("b"), assistant("", "c"), assistant("", "d")]
    copies = [dict(message) for message in messages]
    arrange(messages, Policy())
    assert messages == copies


def test_text_parts_are_one_string() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert joined(parts) == "a\n\nb" == text_of(parts)
    assert text_of("a") == "a" and text_of(None) == ""


def test_a_hundred_thousand_messages_take_linear_time() -> None:
    messages = [user("x")] * 50_000 + [assistant("", f"c{n}") for n in range(50_000)]
    assert len(arrange(messages, Policy())) == 2
