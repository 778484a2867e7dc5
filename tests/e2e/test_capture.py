"""Captured requests: only when asked for, only for this user, gone with MultiProxy."""

import asyncio
import json
import stat
from pathlib import Path

from e2e.raw_client import ask, chat

from multiproxy.cli.instance import Instance
from multiproxy.simulator import Settings

FAST = Settings(tokens_per_second=0)


def folder_of(place) -> Path:
    """Where the log says that requests are kept."""
    line = place.proxy.wait_for_log(lambda line: "capture:" in line.get("text", ""))
    return Path(line["text"].rpartition(" in ")[2])


async def test_prompts_and_answers_are_kept_until_the_end_if_the_operator_wants_it(house):
    place = await house(FAST, capture={"requests": 2})
    folder = await asyncio.to_thread(folder_of, place)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for number in range(3):
        answer = await ask(place.port, chat(f"@echo word{number} 2"))
        assert answer.outcome == "ok"
    await asyncio.to_thread(place.proxy.wait_for_requests, 3)
    kept = [json.loads(path.read_text()) for path in sorted(folder.iterdir())]
    assert [f"word{number}:1" in told["answer"] for number, told in enumerate(kept, 1)] == [
        True
    ] * 2
    assert ["@echo word1 2" in kept[0]["request"], kept[0]["endpoint"]] == [True, "chat"]
    assert kept[0]["answer"].endswith("data: [DONE]\n\n")
    health = await asyncio.to_thread(Instance(place.proxy.dashboard_url).get, "overview")
    assert any("capture is on" in each for each in health["health"]["problems"])
    place.proxy.terminate()
    await asyncio.to_thread(place.proxy.wait)
    assert not folder.exists()


async def test_by_default_nothing_is_kept(house):
    place = await house(FAST)
    assert (await ask(place.port, chat("@echo secretword 2"))).outcome == "ok"
    await asyncio.to_thread(place.proxy.wait_for_requests, 1)
    assert "secretword" not in place.proxy.log_text() and "capture" not in place.proxy.log_text()
