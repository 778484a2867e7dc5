"""The messages of a conversation as Chat messages."""

import pytest
from dialects.messages_asking import (
    HI,
    PNG,
    STRICT,
    assistant,
    chat,
    messages,
    result,
    text,
    tool_text,
    turn,
    use,
    user,
)

from multiproxy.dialects.policy import Policy
from multiproxy.dialects.sealed_text import seal
from multiproxy.errors import Unsupported


def test_results_come_first_and_then_the_rest() -> None:
    answer = messages(
        *HI,
        assistant(text("I "), text("look."), use("t1", "f", {"x": 1}), use("t2", "g")),
        user(text("go"), result("t1", "one"), result("t2", [text("a"), text("b")])),
    )
    assert answer[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"x":1}'},
                },
                {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": "a\nb"},
        {"role": "user", "content": "go"},
    ]


def test_failed_tools_say_so() -> None:
    assert tool_text("boom", is_error=True) == "[tool error] boom"
    assert tool_text("Error: x", is_error=True) == "Error: x"
    assert tool_text("<tool_use_error>x", is_error=True) == "<tool_use_error>x"
    assert tool_text(None, is_error=True) == "[tool error] "
    image = {"type": "image", "source": PNG}
    assert tool_text([image], is_error=True)[0] == text("[tool error]")
    assert tool_text([text("x"), image], is_error=True)[0] == text("[tool error] x")


def test_results_without_text_are_empty_strings() -> None:
    assert tool_text(None) == tool_text([]) == tool_text("") == ""


def test_images_in_results_stay_or_follow_by_engine() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}
    given = [text("seen"), {"type": "image", "source": PNG}]
    assert tool_text(given) == [text("seen"), image]
    answer = messages(*HI, assistant(use("t1")), user(result("t1", given)), policy=STRICT)
    assert answer[2]["content"] == "seen\n[image attached below]"
    assert answer[3] == {"role": "user", "content": [image]}


def test_the_first_of_two_results_for_one_call_is_kept() -> None:
    answer = messages(*HI, assistant(use("t1")), user(result("t1", "a"), result("t1", "b")))
    assert [message["content"] for message in answer[2:]] == ["a"]


def test_neighbours_of_one_role_are_merged() -> None:
    answer = messages(*HI, *HI, assistant(text("a")), assistant(text("b")), *HI)
    assert [message["content"] for message in answer] == ["hi\n\nhi", "ab", "hi"]


def test_thinking_goes_back_whatever_its_signature() -> None:
    thinking = {"type": "thinking", "thinking": "a", "signature": ""}
    sealed = {"type": "thinking", "thinking": "", "signature": seal("b")}
    redacted = {"type": "redacted_thinking", "data": seal("c")}
    foreign = {"type": "redacted_thinking", "data": "foreign"}
    said = messages(*HI, assistant(thinking, sealed, redacted, foreign, text("x")), *HI)[1]
    assert said == {"role": "assistant", "content": "x", "reasoning_content": "a\nb\nc"}


def test_the_calls_input_is_always_an_object() -> None:
    odd = {"type": "tool_use", "id": "t1", "name": "f", "input": [1]}
    call = messages(*HI, assistant(odd), user(result("t1")))[1]["tool_calls"][0]
    assert call["function"]["arguments"] == '{"__unparsed_arguments":"[1]"}'


def test_an_exotic_id_goes_back_as_the_backend_knew_it() -> None:
    wrapped = "toolu_mp_ZnVuY3Rpb25zLmY6MA"
    answer = messages(*HI, assistant(use(wrapped)), user(result(wrapped)))
    assert answer[1]["tool_calls"][0]["id"] == "functions.f:0" == answer[2]["tool_call_id"]
    assert turn(messages=[*HI, assistant(use(wrapped))]).taken_ids == {wrapped}


def test_a_trailing_assistant_text_is_continued_unless_it_is_blank() -> None:
    assert messages(*HI, assistant(text("The answer is")))[-1]["content"] == "The answer is"
    assert messages(*HI, assistant(text(" \n"))) == HI
    continued = chat(messages=[*HI, assistant(text("The answer is"))])
    assert continued["continue_final_message"] is True
    assert continued["add_generation_prompt"] is False
    assert "continue_final_message" not in chat()
    with pytest.raises(Unsupported, match="prefill"):
        messages(*HI, assistant(text("x")), policy=Policy(prefill="reject"))


def test_blocks_of_anthropics_servers_are_kept_as_text() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    found = {
        "type": "web_search_tool_result",
        "tool_use_id": "s",
        "content": [{"type": "x", "title": "t", "url": "u", "encrypted_content": "zzz"}],
    }
    said = messages(*HI, assistant(text("a"), search, found), *HI)[1]
    assert said["content"] == (
        'a[web_search] {"query":"q"}[web_search_tool_result] [{"title":"t","url":"u"}]'
    )


def test_a_compaction_is_what_the_user_said() -> None:
    answer = messages(assistant({"type": "compaction", "content": "summary"}, text("a")), *HI)
    assert answer[0] == {"role": "user", "content": "summary"}
