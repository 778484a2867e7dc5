"""What is known of a prompt's length without asking anybody."""

import pytest

from multiproxy.routing.window import (
    FIXED,
    PER_TURN,
    SEAM,
    TOOLS,
    Prompt,
    Verdict,
    judge,
    larger,
    surely_fits,
    too_small,
)

WINDOW = 8192


def test_a_small_body_fits_whatever_its_bytes_are():
    most = (WINDOW - FIXED - 1) // TOOLS
    assert surely_fits(most, WINDOW)
    assert not surely_fits(most + 1, WINDOW)


@pytest.mark.parametrize(
    ("prompt", "most"),
    [
        (Prompt(1000, 3), 1000 + 3 * PER_TURN + FIXED),
        (Prompt(1000, 3, tools=500), 1000 + 2 * 500 + 3 * PER_TURN + FIXED),
        (Prompt(9000, 5, 500, known_tokens=2000, known_size=8000, known_turns=3),
         2000 + 1000 + 2 * PER_TURN + SEAM),
    ],
)  # fmt: skip
def test_the_most_tokens_are_the_bytes_that_nobody_counted(prompt, most):
    assert prompt.most == most


def test_what_an_engine_counted_proves_the_next_turn():
    size = 40_000
    assert judge(Prompt(size, 9), {0: WINDOW}, 1.0) is Verdict.ASK
    known = Prompt(size, 9, known_tokens=6000, known_size=size - 1000, known_turns=7)
    assert judge(known, {0: WINDOW}, 1.0) is Verdict.FITS
    assert judge(known._replace(known_tokens=7500), {0: WINDOW}, 1.0) is Verdict.ASK


def test_where_nothing_can_be_chosen_the_engine_may_refuse_what_most_likely_fits():
    prompt = Prompt(12_000, 3)  # some 3,000 tokens
    assert judge(prompt, {0: WINDOW, 1: WINDOW}, 4.0) is Verdict.LIKELY
    assert judge(prompt, {0: WINDOW, 1: WINDOW}, 3.0) is Verdict.ASK
    assert judge(prompt, {0: WINDOW, 1: 2 * WINDOW}, 4.0) is Verdict.ASK


def test_the_smallest_window_is_what_has_to_be_proved():
    prompt = Prompt(5000, 1)
    assert judge(prompt, {0: WINDOW}, 4.0) is Verdict.FITS
    assert judge(prompt, {0: WINDOW, 1: 4096}, 4.0) is Verdict.ASK


def test_a_prompt_that_was_counted_whole_is_never_guessed():
    prompt = Prompt(12_000, 3, known_tokens=9000, known_size=12_000, known_turns=3)
    assert prompt.is_counted
    assert judge(prompt, {0: WINDOW}, 4.0) is Verdict.ASK


def test_a_window_has_room_for_one_token_of_the_answer():
    assert too_small(WINDOW - 1, {0: WINDOW}) == frozenset()
    assert too_small(WINDOW, {0: WINDOW, 1: WINDOW + 1}) == {0}


def test_who_refused_is_followed_by_larger_windows_only():
    windows = {0: 4096, 1: 4096, 2: 8192, 3: 65536}
    assert larger(windows, 0, None) == {2, 3}
    assert larger(windows, 0, 8192) == {3}  # one token of an answer needs room
    assert larger(windows, 3, 70_000) == frozenset()
    assert larger({1: 8192}, 0, 5000) == {1}  # its own was not known
