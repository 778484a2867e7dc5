"""The list of models as both SDKs read it."""

import anthropic
import openai
import pytest

OPTIONS = {"api_key": "unused", "max_retries": 0, "timeout": 20}
MODELS = {"big": {"backends": ["a"]}, "small": {"backends": ["a"], "aliases": ["mini", "claude-*"]}}


@pytest.fixture
def proxy(multiproxy_process):
    return multiproxy_process({"backends": [{"id": "a", "simulate": {}}], "models": MODELS})


def test_both_sdks_list_the_models_and_find_one(proxy):
    with openai.OpenAI(base_url=f"{proxy.url}/v1", **OPTIONS) as client:
        entries = {entry.id: entry for entry in client.models.list()}
        assert entries.keys() == {"big", "small", "mini"}
        assert client.models.retrieve("small").owned_by == "multiproxy"
        with pytest.raises(openai.NotFoundError) as unknown:
            client.models.retrieve("nope")
        assert unknown.value.code == "model_not_found"
    with anthropic.Anthropic(base_url=proxy.url, **OPTIONS) as client:
        assert {entry.id for entry in client.models.list(limit=1)} == entries.keys()  # page by page
        assert client.models.retrieve("big").display_name == "big"
        with pytest.raises(anthropic.NotFoundError) as unknown:
            client.models.retrieve("nope")
        assert unknown.value.type == "not_found_error"
