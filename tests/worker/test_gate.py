"""Keys at the door: who comes in, how many at once, and what nobody gets to read."""

import hashlib

import pytest
from worker.workplace import Answer, chat

from multiproxy.config import Key
from multiproxy.worker.endpoints import _GET, _POST

ANN, BOB = "sk-ann-0123456789", "sk-bob-0123456789"


def key(name, secret, **more):
    return Key(name, f"sha256:{hashlib.sha256(secret.encode()).hexdigest()}", **more)


def bearer(secret):
    return f"Authorization: Bearer {secret}\r\n"


@pytest.fixture
def guarded(staff):
    """``workplace = await guarded(Key..., slots=1)``: the keys of ann and bob unless given."""

    async def begin(*keys, **settings):
        given = keys or (key("ann", ANN), key("bob", BOB))
        workplace, _ = await staff(config={"keys": given}, **settings)
        return workplace

    return begin


async def ask(workplace, body, path="/v1/chat/completions", method="POST", fields=""):
    return await workplace.client().ask(body, path, method, fields)


async def test_without_a_key_nothing_is_told_in_the_client_s_words(guarded):
    workplace = await guarded()
    answer = await ask(workplace, chat())
    assert (answer.status, answer.json["error"]["code"]) == (401, None)
    assert b"www-authenticate: Bearer\r\n" in answer.head
    assert "Authorization: Bearer KEY" in answer.json["error"]["message"]
    answer = await ask(workplace, chat(), fields=bearer(ANN[:-1]))
    assert (answer.status, answer.error) == (401, "invalid_api_key")
    answer = await ask(workplace, chat(), "/v1/messages", fields="x-api-key: sk-no\r\n")
    assert (answer.status, answer.json["type"]) == (401, "error")
    assert answer.json["error"] == {"type": "authentication_error", "message": "invalid x-api-key"}
    assert workplace.is_clean()


async def test_both_fields_let_a_client_in(guarded):
    workplace = await guarded()
    for fields in (bearer(ANN), f"x-api-key: {ANN}\r\n", bearer(ANN) + f"X-Api-Key: {ANN}\r\n"):
        answer = await ask(workplace, chat(), fields=fields)
        assert (answer.status, answer.complete) == (200, True)
    answer = await ask(workplace, chat(), fields=bearer(ANN) + f"x-api-key: {BOB}\r\n")
    assert answer.status == 400


async def test_a_wrong_key_is_refused_before_its_body_is_read(guarded):
    workplace = await guarded()
    client = workplace.client()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    more = b"Expect: 100-continue\r\nContent-Length: 30000000\r\n\r\n"
    client.connection.data_received(head + more)
    await workplace.settled()
    assert client.transport.written.startswith(b"HTTP/1.1 401 ")
    assert b"100 Continue" not in client.transport.written


OPEN = {b"/health", b"/v1/health", b"/readyz", b"/livez", b"/", b"/api/hello"}


async def test_every_route_but_the_probes_wants_a_key(guarded):
    workplace = await guarded()
    routes = [("POST", path) for path in _POST] + [("GET", path) for path in _GET]
    stored = b"/v1/responses/resp_" + b"0" * 32
    routes += [("GET", stored), ("DELETE", stored), ("POST", stored + b"/cancel")]
    routes += [("GET", b"/v1/models/demo"), ("HEAD", b"/v1/models")]
    for method, path in routes:
        body = {"model": "demo"} if method == "POST" else None
        answer = await ask(workplace, body, path.decode(), method)
        assert answer.status == (200 if path in OPEN else 401), (method, path)
    assert (await ask(workplace, None, "/v1/chat/completions", "OPTIONS")).status == 204


async def test_a_key_sees_and_uses_only_its_models(guarded):
    workplace = await guarded(key("ann", ANN, models=("big-*",)), key("bob", BOB))
    answer = await ask(workplace, chat(), fields=bearer(ANN))
    assert (answer.status, answer.error) == (403, "not_allowed")
    answer = await ask(workplace, chat(), "/v1/messages", fields=bearer(ANN))
    assert (answer.status, answer.json["error"]["type"]) == (403, "permission_error")
    assert (await ask(workplace, None, "/v1/models", "GET", bearer(ANN))).json["data"] == []
    one = await ask(workplace, None, "/v1/models/demo", "GET", bearer(ANN))
    assert (one.status, one.error) == (404, "model_not_found")
    seen = await ask(workplace, None, "/v1/models", "GET", bearer(BOB))
    assert [entry["id"] for entry in seen.json["data"]] == ["demo"]
    assert workplace.is_clean() and workplace.board.keys.running(0) == 0


async def test_a_key_runs_as_many_generations_as_it_may(guarded):
    workplace = await guarded(
        key("ann", ANN, max_concurrent=1), key("bob", BOB), tokens_per_second=20
    )
    first = workplace.client()
    first.send(chat(max_tokens=2000, ignore_eos=True), fields=bearer(ANN))
    await workplace.until(lambda: b"data: " in first.transport.written)
    second = workplace.client()
    second.send(chat(), fields=bearer(ANN))
    await workplace.until(lambda: second.transport.written)
    refused = Answer(second.transport.written)
    assert (refused.status, refused.error) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.head.lower().partition(b"retry-after: ")[2].partition(b"\r")[0]) <= 5
    other = workplace.client()
    other.send(chat(max_tokens=1), fields=bearer(BOB))
    await workplace.until(lambda: other.transport.written)
    assert other.transport.written.startswith(b"HTTP/1.1 200 ")
    first.leave()
    other.leave()
    await workplace.settled()
    assert (workplace.board.keys.running(0), workplace.board.keys.running(1)) == (0, 0)
    again = await ask(workplace, chat(max_tokens=1), fields=bearer(ANN))
    assert again.status == 200


async def test_generations_of_another_worker_count(guarded):
    workplace = await guarded(key("ann", ANN, max_concurrent=2))
    workplace.board.keys.add(1, 0, +2)
    assert (await ask(workplace, chat(), fields=bearer(ANN))).status == 429
    workplace.board.bury(1)
    assert (await ask(workplace, chat(), fields=bearer(ANN))).status == 200


async def test_requests_per_minute_are_those_to_models(guarded):
    workplace = await guarded(key("ann", ANN, requests_per_minute=2))
    statuses = []
    for _ in range(4):
        assert (await ask(workplace, None, "/v1/models", "GET", bearer(ANN))).status == 200
        statuses.append((await ask(workplace, chat(max_tokens=1), fields=bearer(ANN))).status)
    assert statuses == [200, 200, 429, 429]
    answer = await ask(workplace, chat(), "/v1/messages", fields=bearer(ANN))
    assert (answer.status, answer.json["error"]["type"]) == (429, "rate_limit_error")


async def test_tokens_are_counted_when_an_answer_ends(guarded):
    workplace = await guarded(key("ann", ANN, tokens_per_day=10))
    assert (await ask(workplace, chat(max_tokens=8), fields=bearer(ANN))).status == 200
    (record,) = workplace.records
    today = int(record.started_unix_ns // 1e9 // 86400)
    spent = workplace.board.keys.tokens_of_day(0, today)
    assert spent == record.prompt_tokens + record.output_tokens > 10
    refused = await ask(workplace, chat(), fields=bearer(ANN))
    assert (refused.status, refused.error) == (429, "insufficient_quota")
    assert b"x-should-retry: false" in refused.head


async def test_the_name_is_in_the_records_and_the_key_nowhere(guarded, capfd):
    workplace = await guarded()
    answers = [
        await ask(workplace, chat(max_tokens=1), fields=bearer(ANN)),
        await ask(workplace, chat(model="nope"), fields=bearer(ANN)),
        await ask(workplace, b"{", fields=bearer(ANN)),
        await ask(workplace, chat(), fields=bearer(ANN + "x")),
    ]
    assert [answer.status for answer in answers] == [200, 404, 400, 401]
    assert [record.key for record in workplace.records] == ["ann", "ann", "ann", ""]
    shown = b"".join(answer.head + answer.body for answer in answers)
    shown += repr([record for record, _ in workplace.log.records]).encode()
    shown += "".join(capfd.readouterr()).encode() + repr(workplace.worker.config).encode()
    assert b"sk-ann" not in shown
    assert b"sk-ann" not in bytes(workplace.board._memory[:])


async def test_a_running_request_shows_its_key_s_name(guarded):
    workplace = await guarded(tokens_per_second=20)
    client = workplace.client()
    client.send(chat(max_tokens=2000, ignore_eos=True), fields=bearer(BOB))
    await workplace.until(lambda: b"data: " in client.transport.written)
    (exchange,) = workplace.exchanges
    exchange.tick(0.0, 0)
    assert [row.key for row in workplace.board.live[0].rows()] == ["bob"]
    client.leave()
    await workplace.settled()


async def test_a_stored_response_is_its_owner_s(guarded, tmp_path):
    workplace = await guarded()
    workplace.worker.stored._path = str(tmp_path / "responses.db")
    body = {"model": "demo", "input": "hi", "max_output_tokens": 4}
    first = await ask(workplace, body, "/v1/responses", fields=bearer(ANN))
    path = f"/v1/responses/{first.json['id']}"
    assert (await ask(workplace, None, path, "GET", bearer(ANN))).status == 200
    theirs = await ask(workplace, None, path, "GET", bearer(BOB))
    assert theirs.status == 404
    assert (await ask(workplace, None, path, "DELETE", bearer(BOB))).status == 404
    assert (await ask(workplace, None, f"{path}/input_items", "GET", bearer(BOB))).status == 404
    more = {**body, "previous_response_id": first.json["id"]}
    refused = await ask(workplace, more, "/v1/responses", fields=bearer(BOB))
    assert refused.error == "previous_response_not_found"
    assert (await ask(workplace, more, "/v1/responses", fields=bearer(ANN))).status == 200
    workplace.worker.stored.close()


async def test_without_keys_everyone_comes_in_and_nothing_is_counted(staff):
    workplace, _ = await staff()
    assert (await ask(workplace, chat(), fields=bearer("whatever"))).status == 200
    assert not any(workplace.board.keys._cells[:64])


async def test_what_a_cancelled_request_read_is_charged(guarded):
    workplace = await guarded(key("ann", ANN, tokens_per_day=10**9), tokens_per_second=20)
    client = workplace.client()
    client.send(chat(max_tokens=2000, ignore_eos=True), fields=bearer(ANN))
    await workplace.until(lambda: client.transport.written.count(b"data: ") > 4)
    client.leave()
    await workplace.settled()
    (record,) = workplace.records
    today = int(record.started_unix_ns // 1e9 // 86400)
    assert workplace.board.keys.tokens_of_day(0, today) >= record.output_tokens > 3
