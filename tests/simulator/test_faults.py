"""Each fault, as its victim sees it on the wire."""

import asyncio

import pytest

from multiproxy.simulator import KINDS, Fault

CHUNK = b"\n\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def hit(simulate, client, wire):
    """A function: what a stream of five tokens looks like under a fault, up to its end."""

    async def run(spec: str, **settings: object) -> bytes:
        server = await simulate(faults=[Fault.parse(spec)], **settings)
        async with client(server.port) as connection:
            connection.writer.write(wire.post("@tokens 5"))
            return await connection.rest()

    return run


async def test_cut_before_the_head_sends_nothing(hit):
    assert await hit("cut") == b""
    assert await hit("cut:reset=1") == b"<reset>"


async def test_cut_after_the_head_sends_the_head_only(hit):
    answer = await hit("cut:after_events=0")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\n")
    assert b"data" not in answer


async def test_cut_after_three_events_sends_three_chunks(hit):
    answer = await hit("cut:after_events=3")
    assert answer.count(CHUNK) == 3
    assert answer.endswith(CHUNK)


async def test_cut_after_bytes_sends_so_many_bytes(hit):
    assert len(await hit("cut:after_bytes=777")) == 777


async def test_a_cut_whole_answer_is_shorter_than_its_content_length(simulate, client, wire):
    server = await simulate(faults=[Fault("cut", after_bytes=300)])
    async with client(server.port) as connection:
        connection.writer.write(wire.post({"messages": []}))
        assert len(await connection.rest()) == 300


async def test_a_stalled_stream_keeps_its_slot_and_its_connection(simulate, client, wire):
    server = await simulate(slots=1, faults=[Fault("stall", after_events=2)])
    async with client(server.port) as connection:
        connection.writer.write(wire.post("@tokens 50"))
        await connection.until(CHUNK)
        await connection.until(CHUNK)
        assert server.engine.running
    async with client(server.port) as connection:
        server.set_faults([])
        assert (await connection.answer(wire.post("@tokens 1"))).endswith(b"\r\n0\r\n\r\n")


async def test_a_stalled_stream_may_go_on_pinging(simulate, client, wire):
    fault = Fault("stall", after_events=1, pings=True)
    server = await simulate(ping_interval=0.1, faults=[fault])
    async with client(server.port) as connection:
        connection.writer.write(wire.post("@tokens 50"))
        await connection.until(CHUNK)
        assert await connection.until(CHUNK) == b"3\r\n:" + CHUNK


async def test_a_stall_before_the_head_is_silence(simulate, client, wire):
    server = await simulate(faults=[Fault("stall", count=1)])
    async with client(server.port) as silent, client(server.port) as other:
        silent.writer.write(wire.post("@tokens 1"))
        while not server.facts.faults:
            await asyncio.sleep(0)
        assert (await other.answer(wire.post("@tokens 1"))).endswith(b"\r\n0\r\n\r\n")
        assert silent.reader._buffer == b""


async def test_an_error_event_is_followed_by_a_clean_end_without_done(simulate, client, wire):
    server = await simulate(faults=[Fault("error-event", after_events=1)])
    recorded = wire.answer("error.mid-stream.chat")
    async with client(server.port) as connection:
        answer = await connection.answer(wire.post("@tokens 5"))
        assert answer.endswith(recorded[recorded.rindex(b"60\r\n") :])
        assert not server.engine.running
        assert (await connection.answer(HEALTH)).endswith(b'"ok"}')


async def test_an_error_in_the_middle_of_a_whole_answer_is_a_500(simulate, client, wire):
    server = await simulate(faults=[Fault("error-event", after_events=3)])
    async with client(server.port) as connection:
        answer = await connection.answer(wire.post({"messages": []}))
    assert answer == wire.answer("error.mid-stream.chat.nonstream")


async def test_faults_of_chunks_let_whole_answers_pass(simulate, client, wire):
    kinds = ("early-end", "no-terminator", "bad-chunk-size")
    server = await simulate(faults=[Fault(kind, count=1) for kind in kinds])
    async with client(server.port) as connection:
        for _ in kinds:
            assert (await connection.ask({"messages": []}))["object"] == "chat.completion"
    assert server.facts.faults.total() == 3


async def test_an_early_end_has_neither_finish_reason_nor_done(simulate, client, wire):
    server = await simulate(faults=[Fault("early-end", after_events=2)])
    async with client(server.port) as connection:
        answer = await connection.answer(wire.post("@tokens 5"))
    assert answer.count(CHUNK) == 2
    assert answer.endswith(CHUNK + b"0\r\n\r\n")


async def test_no_terminator_sends_everything_but_the_last_chunk(hit):
    assert (await hit("no-terminator")).endswith(b"data: [DONE]" + CHUNK)


async def test_slow_writes_give_the_same_bytes(simulate, client, wire):
    server = await simulate(faults=[Fault("slow", seconds=0)])
    async with client(server.port) as connection:
        answer = await connection.answer(wire.post("@tokens 1"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n0\r\n\r\n")


async def test_a_bad_chunk_size_stands_after_the_point(simulate, client, wire):
    server = await simulate(faults=[Fault("bad-chunk-size", after_events=1)])
    async with client(server.port) as connection:
        connection.writer.write(wire.post("@tokens 5"))
        await connection.until(CHUNK)
        assert await connection.until(b"\r\n") == b"xyz\r\n"


async def test_two_framings_in_one_head(simulate, client, wire):
    server = await simulate(faults=[Fault("length-and-chunked")])
    async with client(server.port) as connection:
        connection.writer.write(wire.post("@tokens 1"))
        head = await connection.until(b"\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in head and b"\r\nContent-Length: 5\r\n" in head


@pytest.mark.parametrize("body", ["@tokens 1", {"messages": []}])
async def test_extra_bytes_follow_a_complete_answer(simulate, client, wire, body):
    server = await simulate(faults=[Fault("extra-bytes")])
    async with client(server.port) as connection:
        connection.writer.write(wire.post(body))
        answer = await connection.until(b"\r\n\r\nextra")
    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_switching_protocols_and_endless_1xx(simulate, client, wire):
    faults = [Fault("switching-protocols", count=1), Fault("endless-1xx", seconds=0.001)]
    server = await simulate(faults=faults)
    async with client(server.port) as first, client(server.port) as second:
        first.writer.write(wire.post("x"))
        assert (await first.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        second.writer.write(wire.post("x"))
        for _ in range(3):
            assert await second.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_status_with_retry_after_hits_so_many_requests_and_no_probe(simulate, client, wire):
    server = await simulate(faults=[Fault.parse("status:status=429,retry_after=7,skip=1,count=1")])
    seen = []
    for request in (wire.post("@tokens 1"), HEALTH, wire.post("@tokens 1"), wire.post("@tokens 1")):
        async with client(server.port) as connection:
            seen.append(await connection.answer(request))
    assert [answer[9:12] for answer in seen] == [b"200", b"200", b"429", b"200"]
    assert b"\r\nRetry-After: 7\r\n" in seen[2]


async def test_a_fault_with_a_path_hits_that_path_and_with_match_that_body(simulate, client, wire):
    server = await simulate(
        faults=[Fault("status", path="/health", status=503), Fault("status", match="poison")]
    )
    async with client(server.port) as connection:
        assert (await connection.answer(wire.post("clean")))[9:12] == b"200"
        assert (await connection.answer(HEALTH))[9:12] == b"503"
    async with client(server.port) as connection:
        assert (await connection.answer(wire.post("poison")))[9:12] == b"500"


async def test_a_fault_without_a_path_waits_for_a_request_to_the_model(simulate, client, wire):
    server = await simulate(faults=[Fault("status", count=1), Fault("status", path="/tokenize")])
    counting = wire.post("hi", path="/apply-template")
    tokenizing = wire.post({"content": "hi"}, path="/tokenize")
    seen = []
    for request in (counting, tokenizing, wire.post("@tokens 1"), wire.post("@tokens 1")):
        async with client(server.port) as connection:
            seen.append((await connection.answer(request))[9:12])
    assert seen == [b"200", b"500", b"500", b"200"]


async def test_a_late_release_keeps_the_slot_after_the_answer(simulate, client, wire):
    server = await simulate(slots=1, faults=[Fault("late-release", seconds=0.05, count=1)])
    async with client(server.port) as connection:
        await connection.answer(wire.post("@tokens 1"))
        assert server.engine.slots[0].running is not None
        await connection.answer(wire.post("@tokens 1"))
    assert server.facts.generations == 2


async def test_refuse_closes_the_listener_until_it_is_taken_back(simulate, client):
    server = await simulate()
    server.set_faults(["refuse"])
    with pytest.raises(ConnectionRefusedError):
        async with client(server.port):
            pass
    server.set_faults([])
    await server.listening()
    async with client(server.port) as connection:
        assert (await connection.answer(HEALTH)).endswith(b'"ok"}')


async def test_silence_accepts_and_says_nothing(simulate, client):
    server = await simulate(faults=[Fault("silence")])
    async with client(server.port) as silent:
        silent.writer.write(HEALTH)
        while not server.facts.connections:
            await asyncio.sleep(0)
        server.set_faults([])
        async with client(server.port) as connection:
            assert (await connection.answer(HEALTH)).endswith(b'"ok"}')
        assert silent.reader._buffer == b""


async def test_death_ends_every_connection_and_refuses_new_ones(simulate, client, wire):
    server = await simulate(tokens_per_second=100)
    async with client(server.port) as victim, client(server.port) as killer:
        victim.writer.write(wire.post("@tokens 500"))
        await victim.until(CHUNK)
        killer.writer.write(wire.post("@die"))
        assert await killer.rest() == b""
        assert not (await victim.rest()).endswith(b"\r\n0\r\n\r\n")
    with pytest.raises(ConnectionRefusedError):
        async with client(server.port):
            pass


async def test_faults_change_over_http_when_control_is_open(simulate, client):
    server = await simulate(control=True)
    async with client(server.port) as connection:
        faults = {"faults": [{"kind": "status", "status": 503}, "cut:after_events=1"]}
        shown = await connection.ask(faults, "/simulator/fault")
        assert [fault["kind"] for fault in shown["faults_active"]] == ["status", "cut"]
        assert server.settings.faults[1] == Fault("cut", after_events=1)
        assert "unknown fault" in str(await connection.ask({"faults": ["x"]}, "/simulator/fault"))


async def test_control_is_closed_unless_asked_for(simulate, client):
    server = await simulate()
    async with client(server.port) as connection:
        answer = await connection.ask({"faults": ["cut"]}, "/simulator/fault")
    assert answer["error"]["code"] == 404


@pytest.mark.parametrize("spec", ["nonsense", "cut:after=1", "cut:after_events=x"])
def test_a_fault_that_is_none_is_an_error(spec):
    with pytest.raises(ValueError):
        Fault.parse(spec)


def test_every_kind_can_be_written_as_text():
    assert [Fault.parse(kind).kind for kind in KINDS] == list(KINDS)
