"""llama-server's own result object, as recorded."""

import pytest

NAMES = """
chat.nonstream.verbose chat.stream.verbose completion.native.nonstream completion.native.stream
""".split()


@pytest.mark.parametrize("name", NAMES)
async def test_a_native_result_has_the_recorded_bytes(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)
