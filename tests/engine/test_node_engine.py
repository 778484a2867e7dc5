"""The Node SDKs through a MultiProxy before a real llama.cpp server: grammars and counts."""

import json

import pytest
from multiproxy_process import TRACEBACK, MultiProxyProcess
from node_sdks import NodeSdks, needs_node

pytestmark = [pytest.mark.engine, needs_node]

DIALECTS = ["chat", "messages", "responses"]
HELLO = [{"role": "user", "content": "hello"}]
ARGUMENTS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
    "required": ["city"],
    "additionalProperties": False,
}
NO_THINKING = {
    "chat": {"chat_template_kwargs": {"enable_thinking": False}},
    "messages": {"thinking": {"type": "disabled"}},
    "responses": {"reasoning": {"effort": "none"}},
}
FORCED = {
    "chat": {"tool_choice": "required", "tools": [
        {"type": "function", "function": {"name": "get_weather", "parameters": ARGUMENTS}}]},
    "messages": {"tool_choice": {"type": "any"}, "tools": [
        {"name": "get_weather", "input_schema": ARGUMENTS}]},
    "responses": {"tool_choice": "required", "tools": [
        {"type": "function", "name": "get_weather", "parameters": ARGUMENTS, "strict": False}]},
}  # fmt: skip
FORM = {"type": "json_schema", "schema": ARGUMENTS}
FORMED = {
    "chat": {"response_format": {
        "type": "json_schema", "json_schema": {"name": "it", "schema": ARGUMENTS}}},
    "messages": {"output_config": {"format": FORM}},
    "responses": {"text": {"format": {**FORM, "name": "it"}}},
}  # fmt: skip
# The model talks gibberish: this makes it begin with <tool_call>, and the grammar does the rest.
WANTS_TO_CALL = {"logit_bias": [[263, 15]], "seed": 11}

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def hello(dialect, **members):
    limit = {"max_output_tokens": 200} if dialect == "responses" else {"max_tokens": 200}
    said = {"input": "hello"} if dialect == "responses" else {"messages": HELLO}
    return {"model": "tiny", **said, **limit, **NO_THINKING[dialect], **members}


@pytest.fixture(scope="module", params=["chat", "think"])
def node(request, shared_engine, tmp_path_factory):
    """The Node SDKs before a MultiProxy before an engine of one slot."""
    engine = shared_engine(request.param, slots=1, alias="tiny")
    backends = [{"id": "a", "url": engine.url}]
    proxy = MultiProxyProcess({"backends": backends}, tmp_path_factory.mktemp("node"))
    try:
        proxy.wait_until_ready()
        sdks = NodeSdks(proxy.url)
        yield sdks
        sdks.end()
    finally:
        proxy.end()
    assert TRACEBACK not in proxy.log_text(), proxy.log_text()


def calls_of(dialect, answer):
    """Name and arguments of every call."""
    if dialect == "chat":
        calls = [call["function"] for call in answer["choices"][0]["message"]["tool_calls"]]
        return [(call["name"], json.loads(call["arguments"])) for call in calls]
    if dialect == "messages":
        calls = [block for block in answer["content"] if block["type"] == "tool_use"]
        return [(call["name"], call["input"]) for call in calls]
    calls = [item for item in answer["output"] if item["type"] == "function_call"]
    return [(call["name"], json.loads(call["arguments"])) for call in calls]


@pytest.mark.parametrize("way", ["whole", "helper"])
@every_dialect
def test_a_tool_call_is_forced(node, dialect, way):
    answer = node.ask(dialect, way, hello(dialect, **FORCED[dialect], **WANTS_TO_CALL))
    name, arguments = calls_of(dialect, answer)[0]
    assert name == "get_weather"
    assert arguments["city"] in ("Paris", "Rome")


PARSED = {
    "chat": lambda answer: answer["choices"][0]["message"]["parsed"],
    "messages": lambda answer: answer["parsed_output"],
    "responses": lambda answer: answer["output_parsed"],
}


@pytest.mark.parametrize("way", ["parsed", "parsedHelper"])
@every_dialect
def test_structured_output_is_parsed(node, dialect, way):
    answer = node.ask(dialect, way, hello(dialect, **FORMED[dialect], seed=11))
    assert PARSED[dialect](answer)["city"] in ("Paris", "Rome")


def counts(dialect, usage):
    """(prompt, output) tokens, the cached ones among the first."""
    if dialect == "chat":
        return usage["prompt_tokens"], usage["completion_tokens"]
    cached = usage.get("cache_read_input_tokens", 0)
    return usage["input_tokens"] + cached, usage["output_tokens"]


def test_the_usage_of_three_dialects_agrees(node):
    told = {
        (dialect, way): node.ask(dialect, way, hello(dialect, seed=7, temperature=0))
        for dialect in DIALECTS
        for way in ("whole", "helper")
    }
    timings = told["chat", "whole"]["timings"]
    expected = (timings["cache_n"] + timings["prompt_n"], timings["predicted_n"])
    assert {counts(dialect, answer["usage"]) for (dialect, _), answer in told.items()} == {expected}
