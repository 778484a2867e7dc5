"""The main job with nothing imitated: the OpenAI SDK, MultiProxy, real llama.cpp servers."""

import asyncio

import openai
import pytest
from waiting import until

pytestmark = pytest.mark.engine

HELLO = [{"role": "user", "content": "hello"}]


def backends(*engines, **more):
    """A config with these engines, named by letters."""
    named = zip("abcdef", engines, strict=False)
    return {"backends": [{"id": name, "url": engine.url} for name, engine in named], **more}


def sdk(proxy, **options):
    """The SDK without its retries, which would hide our failures."""
    return openai.OpenAI(
        base_url=f"{proxy.url}/v1", api_key="unused", max_retries=0, timeout=30, **options
    )


def async_sdk(proxy):
    return openai.AsyncOpenAI(
        base_url=f"{proxy.url}/v1", api_key="unused", max_retries=0, timeout=50
    )


@pytest.fixture
def one_and_two(shared_engine, multiproxy_process):
    """MultiProxy before two engines with a model each, and a client."""
    proxy = multiproxy_process(backends(shared_engine(alias="one"), shared_engine(alias="two")))
    with sdk(proxy) as client:
        yield client


# -- answers ---------------------------------------------------------------------------------


def test_chat_reaches_the_engine_that_has_the_model(one_and_two):
    for name in ("one", "two", "one"):
        answer = one_and_two.chat.completions.create(model=name, messages=HELLO, max_tokens=8)
        assert answer.model == name
        assert answer.choices[0].message.content
        assert answer.usage.completion_tokens > 0


def test_a_streamed_chat_says_the_same_as_a_whole_one(one_and_two):
    question = {"model": "two", "messages": HELLO, "seed": 7, "temperature": 0, "max_tokens": 40}
    whole = one_and_two.chat.completions.create(**question)
    with one_and_two.chat.completions.create(
        **question, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert text == whole.choices[0].message.content
    assert [reason for reason in reasons if reason] == [whole.choices[0].finish_reason]
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_characters_of_several_tokens_arrive_whole(one_and_two):
    stream = one_and_two.chat.completions.create(
        model="one", messages=HELLO, max_tokens=60, stream=True,
        extra_body={"grammar": 'root ::= ("🦙" "é")+', "ignore_eos": True},
    )  # fmt: skip
    pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    assert [piece for piece in pieces if piece] == ["🦙", "é"] * 10


def test_completions_are_served_whole_and_streamed(one_and_two):
    question = {"model": "one", "prompt": "The proxy", "seed": 3, "temperature": 0}
    whole = one_and_two.completions.create(**question, max_tokens=12)
    stream = one_and_two.completions.create(**question, max_tokens=12, stream=True)
    assert whole.choices[0].text == "".join(chunk.choices[0].text for chunk in stream)


def test_embeddings_come_from_the_engine_that_makes_them(shared_engine, multiproxy_process):
    proxy = multiproxy_process(backends(shared_engine(alias="one"), shared_engine("embed")))
    with sdk(proxy) as client:
        answer = client.embeddings.create(model="tiny-embed", input=["a slot", "a slot", "today"])
    same, again, other = (row.embedding for row in answer.data)
    assert len(same) == 64
    assert same == pytest.approx(again)
    assert same != pytest.approx(other)


def test_rerank_sorts_documents_by_their_score(shared_engine, multiproxy_process):
    proxy = multiproxy_process(backends(shared_engine("rerank"), shared_engine(alias="one")))
    question = {"model": "tiny-rerank", "query": "slot", "documents": ["a slot", "today", "x"]}
    status, answer = proxy.ask("POST", "/v1/rerank", question)
    scores = [row["relevance_score"] for row in answer["results"]]
    assert status == 200
    assert scores == sorted(scores, reverse=True)
    assert sorted(row["index"] for row in answer["results"]) == [0, 1, 2]


def test_the_models_of_all_engines_are_one_list(one_and_two):
    models = {model.id: model for model in one_and_two.models.list()}
    assert models.keys() == {"one", "two"}


def test_the_engines_own_routes_are_served_by_model(shared_engine, multiproxy_process):
    proxy = multiproxy_process(
        backends(shared_engine(alias="one"), shared_engine("think", alias="two"))
    )
    tokens = {"model": "one", "content": "The proxy"}
    status, answer = proxy.ask("POST", "/tokenize", tokens)
    assert (status, len(answer["tokens"])) == (200, 2)
    status, answer = proxy.ask("POST", "/detokenize", {"model": "one", "tokens": answer["tokens"]})
    assert (status, answer["content"]) == (200, "The proxy")
    prompts = [
        proxy.ask("POST", "/apply-template", {"model": name, "messages": HELLO})[1]["prompt"]
        for name in ("one", "two")
    ]
    assert [prompt.endswith("<think>\n") for prompt in prompts] == [False, True]
    status, answer = proxy.ask(
        "POST", "/completion", {"model": "one", "prompt": "A", "n_predict": 4}
    )
    assert (status, answer["tokens_predicted"]) == (200, 4)
    status, answer = proxy.ask("GET", "/props?model=two")
    assert (status, answer["model_alias"]) == (200, "two")


# -- names -----------------------------------------------------------------------------------


def test_aliases_wildcards_and_the_default_find_their_engine(shared_engine, multiproxy_process):
    proxy = multiproxy_process(
        backends(
            shared_engine(alias="one"),
            shared_engine(alias="two"),
            models={
                "first": {"backends": ["a"], "aliases": ["gpt-4o", "claude-*"]},
                "second": {"backends": ["b"], "aliases": ["claude-haiku-*"]},
            },
            default_model="second",
        )
    )
    served_by = {
        "first": "one",
        "second": "two",
        "gpt-4o": "one",
        "claude-sonnet-5": "one",
        "claude-haiku-5": "two",  # the longest pattern wins
        "anything else": "two",
    }
    with sdk(proxy) as client:
        for name, engine in served_by.items():
            answer = client.chat.completions.create(model=name, messages=HELLO, max_tokens=1)
            assert (name, answer.model) == (name, engine)


def test_a_model_that_nobody_has_is_not_found(one_and_two):
    with pytest.raises(openai.NotFoundError) as caught:
        one_and_two.chat.completions.create(model="three", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


def test_a_backend_key_is_sent_and_the_clients_is_not(shared_engine, multiproxy_process):
    engine = shared_engine(alias="one", api_key="secret")
    config = {"backends": [{"id": "a", "url": engine.url, "api_key": "secret"}]}
    with sdk(multiproxy_process(config)) as client:
        answer = client.chat.completions.create(model="one", messages=HELLO, max_tokens=1)
    assert answer.model == "one"


# -- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_past_the_context_is_told_in_openais_words(one_and_two, stream):
    endless = [{"role": "user", "content": "The proxy " * 3000}]
    with pytest.raises(openai.BadRequestError) as caught:
        one_and_two.chat.completions.create(model="one", messages=endless, stream=stream)
    assert caught.value.code == "context_length_exceeded"
    assert "maximum context length is 4096 tokens" in caught.value.message


def test_a_client_that_leaves_frees_the_slot(engine_factory, multiproxy_process):
    # 3,900 tokens take this model a minute: an idle slot means that it was told to stop.
    engine = engine_factory("slow", slots=1)
    proxy = multiproxy_process(backends(engine))
    with sdk(proxy) as client:
        stream = client.chat.completions.create(
            model="tiny-slow", messages=HELLO, max_tokens=3900, stream=True,
            extra_body={"ignore_eos": True},
        )  # fmt: skip
        next(iter(stream))
        assert engine.busy_slots() == 1
        stream.close()
        until(lambda: engine.busy_slots() == 0, limit_s=5)
    [line] = proxy.wait_for_requests(1)
    assert (line["end"], line["backend"]) == ("CD", "a")


async def first_answers(proxy, model, count, messages=HELLO):
    """Ask at the same instant, streamed; return each answer's finish reason or its failure."""

    async def one(client):
        stream = await client.chat.completions.create(
            model=model, messages=messages, max_tokens=2, stream=True
        )
        return [chunk.choices[0].finish_reason async for chunk in stream if chunk.choices][-1]

    async with async_sdk(proxy) as client:
        return await asyncio.gather(*(one(client) for _ in range(count)), return_exceptions=True)


async def test_killing_an_engine_is_not_seen_by_50_that_wait_for_their_first_token(
    engine_factory, multiproxy_process
):
    # Prompts in small batches: the victim tells that all its slots are in their prompt seconds
    # before the first of them has a token.
    survivor, victim = (
        engine_factory("slow", slots=4, ctx=512, alias="slow", n_batch=32, n_ubatch=32)
        for _ in "ab"
    )
    proxy = multiproxy_process(backends(survivor, victim))
    long = [{"role": "user", "content": "The cache reads the queue slowly. " * 25}]
    asked = asyncio.create_task(first_answers(proxy, "slow", 50, long))
    await asyncio.to_thread(until, lambda: victim.busy_slots() == 4)
    victim.kill()
    assert set(await asked) <= {"stop", "length"}
    lines = proxy.wait_for_requests(50)
    assert {line["backend"] for line in lines} == {"a"}
    assert sum(line["attempts"] > 1 for line in lines) >= 4


async def test_64_first_requests_at_once_strand_no_connection(engine_factory, multiproxy_process):
    proxy = multiproxy_process(backends(engine_factory(slots=8)))
    assert set(await first_answers(proxy, "tiny-chat", 64)) <= {"stop", "length"}
    lines = proxy.wait_for_requests(64)
    # A stranded connection is answered when an idle one has run into its 5 s limit, not before.
    assert max(line["duration_s"] for line in lines) < 4.5


def test_an_engine_that_comes_back_is_used_again(engine_factory, multiproxy_process):
    engine = engine_factory(alias="one")
    proxy = multiproxy_process(backends(engine))
    engine.kill()
    question = {"model": "one", "messages": HELLO, "max_tokens": 1}
    status, answer = proxy.ask("POST", "/v1/chat/completions", question)
    assert (status, answer["error"]["type"]) == (502, "server_error")
    engine.restart()
    until(lambda: proxy.ask("POST", "/v1/chat/completions", question)[0] == 200)
