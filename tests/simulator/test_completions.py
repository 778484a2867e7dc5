"""Text completions, as recorded."""

import pytest

NAMES = """
completions.v1.nonstream completions.v1.nonstream.two-prompts completions.v1.stream
""".split()


@pytest.mark.parametrize("name", NAMES)
async def test_a_completion_has_the_recorded_bytes(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)
