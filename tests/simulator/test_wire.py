"""Heads and the errors that the HTTP layer makes, as recorded."""

import pytest

NAMES = """
cors.get-with-origin cors.options error.key.missing error.key.wrong error.trailing-slash
error.unknown-route.get health.head health.ready loading.chat loading.health
""".split()


@pytest.mark.parametrize("name", NAMES)
async def test_a_head_has_the_recorded_bytes(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)
