"""The simulator against the real server's recorded bytes: replay each request, compare."""

import pytest

NAMES = """
apply-template apply-template.continue_final_message.conflict apply-template.prefill
apply-template.think apply-template.tools chat.input_tokens
chat.nonstream chat.nonstream.cache_prompt-false chat.nonstream.cached
chat.nonstream.connection-close chat.nonstream.json_schema chat.nonstream.logprobs
chat.nonstream.max_tokens-0 chat.nonstream.n2 chat.nonstream.prefill chat.nonstream.reasoning
chat.nonstream.reasoning_format-none chat.nonstream.stop-word
chat.nonstream.think.prefill-reasoning-and-content chat.nonstream.tools-required
chat.nonstream.verbose chat.stream chat.stream.connection-close chat.stream.include_usage
chat.stream.json_schema chat.stream.logprobs chat.stream.max_tokens-0 chat.stream.prefill
chat.stream.reasoning.include_usage chat.stream.return_progress chat.stream.stop-word
chat.stream.timings_per_token chat.stream.tools-required.include_usage chat.stream.verbose
chunked-request-body completion.native.nonstream completion.native.stream
completions.v1.nonstream completions.v1.nonstream.two-prompts completions.v1.stream
cors.get-with-origin cors.options embeddings.error.empty
embeddings.error.not-enabled embeddings.error.too-long embeddings.native embeddings.v1.base64
embeddings.v1.two error.bad-json error.bad-request-line error.body-array
error.content-length-invalid error.context.stream error.empty-body error.form-encoded-body
error.header-too-long error.image-to-text-model error.key.missing error.key.wrong
error.logprobs-tools-stream error.messages-not-array error.n-more-than-slots error.no-messages
error.prefill.tool_calls error.prefill.two-assistants error.response_format-unknown
error.too-many-headers error.tool_choice-unknown error.trailing-slash
error.type.max_tokens-string error.type.stream-string error.unknown-route.get
error.uri-too-long error.wrong-method.get-on-post health.head health.ready infill.error
key.health-needs-none key.models-needs key.unknown-route key.x-api-key lora-adapters
loading.chat loading.health metrics.fresh models.v1 rerank.error.no-documents
rerank.error.not-enabled slots.fresh
""".split()


def settings_for(name: str, request: bytes) -> dict[str, object]:
    """Return the settings of the server that was recorded (one port each)."""
    settings: dict[str, object] = {"model": "tiny-chat", "slots": 2, "context_size": 2048}
    if b":18102" in request:
        settings |= {"model": "tiny-think", "reasoning": True}
    elif b":18103" in request:
        settings |= {"model": "tiny-embed", "embeddings": True}
    elif b":18104" in request:
        settings |= {"model": "tiny-rerank", "rerank": True}
    elif b":18105" in request:
        settings |= {"model": "tiny-key", "api_keys": ("sekret", "other")}
    elif b":18140" in request:
        settings |= {"load_time": 3600}
    return settings | ({"infill": False} if name.startswith("infill") else {})


@pytest.mark.parametrize("name", NAMES)
async def test_an_answer_has_the_recorded_bytes_but_for_ids_times_and_words(
    name, simulate, client, wire
):
    request, recorded = wire.recorded(name)
    server = await simulate(**settings_for(name, request))
    async with client(server.port) as connection:
        assert wire.split(await connection.answer(request)) == wire.split(recorded)


async def test_an_answer_whose_first_character_needs_four_tokens_has_no_role_event(
    simulate, client, wire
):
    _, recorded = wire.recorded("chat.stream.utf8.emoji.max_tokens-5")
    server = await simulate(model="tiny-chat")
    async with client(server.port) as connection:
        body = {"messages": [{"role": "user", "content": "@emoji"}], "max_tokens": 5}
        answer = await connection.answer(wire.post(body | {"stream": True}))
    assert wire.split(answer) == wire.split(recorded)
    assert b"role" not in answer
