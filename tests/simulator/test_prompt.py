"""Simulated tokens and templates."""

import pytest

from multiproxy.simulator.prompt import common_prefix, count_tokens, detokenize, render, tokenize


@pytest.mark.parametrize("text", ["", "a", "four", "fives", "café 日本 🦙"])
def test_tokens_are_four_bytes_and_give_the_text_back(text):
    ids = tokenize(text)
    assert detokenize(ids) == text
    assert count_tokens(text) == max(1, len(ids))


@pytest.mark.parametrize("same", [0, 1, 2, 99, 1000])
def test_the_common_prefix_ends_at_the_first_difference(same):
    assert common_prefix(b"x" * same + b"left", b"x" * same + b"right") == same
    assert common_prefix(b"x" * same, b"x" * same + b"more") == same


def test_the_next_turn_begins_with_the_prompt_and_its_answer():
    first = [{"role": "user", "content": "hi"}]
    answer = {"role": "assistant", "content": "Hello."}
    assert render([*first, answer], []).startswith(render(first, []) + "Hello.<|im_end|>")


def test_a_tool_result_is_told_by_the_user():
    assert render([{"role": "tool", "content": "sunny"}], []).startswith(
        "<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n"
    )
