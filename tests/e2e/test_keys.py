"""Keys over two workers and a reload."""

import asyncio
import re

from e2e.raw_client import Client, ask, chat

from multiproxy.simulator import Settings

STEADY = Settings(slots=64, tokens_per_second=40, prompt_tokens_per_second=0)
ANN, BOB = "sk-ann-0123456789", "sk-bob-0123456789"
KEYS = [{"name": "ann", "key": ANN, "max_concurrent": 3}, {"name": "bob", "key": BOB}]


async def test_a_key_s_limit_is_one_for_all_workers(house):
    place = await house(STEADY, workers=2, keys=KEYS)
    clients = [await Client(place.port).__aenter__() for _ in range(12)]
    for client in clients:
        client.send(chat("hi", max_tokens=100_000, ignore_eos=True), key=ANN)
    answers = [asyncio.create_task(client.receive()) for client in clients]
    # Two workers that look in the same instant may let in one more than they should.
    done, running = await asyncio.wait(answers, timeout=1.0)
    assert {answer.result().status for answer in done} == {429}
    assert 3 <= len(running) <= 4
    assert (await ask(place.port, chat("hi", max_tokens=2), key=BOB)).outcome == "ok"
    for client in clients:
        client.writer.transport.abort()
    await asyncio.wait(answers)
    while (await ask(place.port, chat("hi", max_tokens=2), key=ANN)).outcome != "ok":
        await asyncio.sleep(0.02)


async def test_a_removed_key_is_refused_and_its_running_streams_end_normally(house):
    place = await house(STEADY, workers=2, keys=KEYS)
    text = place.proxy.config_path.read_text()
    assert (await ask(place.port, chat("hi"))).status == 401
    async with Client(place.port) as client:
        client.send(chat("hi", max_tokens=80, ignore_eos=True), key=ANN)
        await client.until_content()
        place.proxy.write_config(text.replace("name: ann", "name: eve").replace(ANN, f"{ANN}-2"))
        place.proxy.reload()
        while "configuration loaded" not in place.proxy.log_text():
            await asyncio.sleep(0.02)
        assert (await ask(place.port, chat("hi", max_tokens=2), key=ANN)).status == 401
        assert (await ask(place.port, chat("hi", max_tokens=2), key=BOB)).outcome == "ok"
        assert (await ask(place.port, chat("hi", max_tokens=2), key=f"{ANN}-2")).outcome == "ok"
        assert (await client.receive()).outcome == "ok"
    names = [line["key"] for line in await place.logged(5)]
    assert sorted(filter(None, names)) == ["ann", "bob", "eve"]
    assert not re.search("sk-(ann|bob)", place.proxy.log_text())
