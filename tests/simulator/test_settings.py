"""Rates to times."""

from multiproxy.simulator import Settings


def test_a_rate_of_zero_takes_no_time():
    settings = Settings(tokens_per_second=0, prompt_tokens_per_second=0)
    assert (settings.token_interval, settings.prefill_time(1000)) == (0.0, 0.0)


def test_a_prompt_takes_its_tokens_by_the_rate():
    assert Settings(prompt_tokens_per_second=2000).prefill_time(500) == 0.25
