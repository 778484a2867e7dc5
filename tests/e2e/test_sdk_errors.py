"""What the real SDKs raise when a question cannot be answered, or an answer dies on its way."""

import anthropic
import openai
import pytest
from e2e.sdk_house import DEATHS, sdk_house
from e2e.sdk_questions import DIALECTS, ENDLESS, said, shown

BAD_REQUEST = (openai.BadRequestError, anthropic.BadRequestError)
TOO_LONG = {
    "chat": "maximum context length is 2048 tokens",
    "messages": "prompt is too long: 5.* tokens > 2048 maximum",
    "responses": "maximum context length is 2048 tokens",
}

every_way = pytest.mark.parametrize("way", ["whole", "raw", "helper"])
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A simulator, the MultiProxy before it, and both SDKs without retries."""
    with sdk_house(tmp_path_factory.mktemp("sdks")) as built:
        yield built


@pytest.fixture
def ask(house):
    """``ask(dialect, way, question)``: without a stream, with its events, with the helper."""
    resources = {
        "chat": house.openai.chat.completions,
        "messages": house.anthropic.messages,
        "responses": house.openai.responses,
    }
    finals = {
        "chat": "get_final_completion",
        "messages": "get_final_message",
        "responses": "get_final_response",
    }

    def asking(dialect, way, question):
        resource = resources[dialect]
        if way == "whole":
            return resource.create(**question)
        if way == "raw":
            return list(resource.create(**question, stream=True))
        with resource.stream(**question) as stream:
            return getattr(stream, finals[dialect])()

    return asking


@every_way
@every_dialect
def test_an_image_that_no_model_can_see_is_the_clients_error(ask, dialect, way):
    with pytest.raises(BAD_REQUEST, match="image"):
        ask(dialect, way, shown(dialect))


@every_way
@every_dialect
def test_a_prompt_past_the_context_has_the_words_that_agents_look_for(ask, dialect, way):
    with pytest.raises(BAD_REQUEST, match=TOO_LONG[dialect]) as told:
        ask(dialect, way, said(dialect, ENDLESS))
    if dialect != "messages":
        assert told.value.code == "context_length_exceeded"


@pytest.mark.parametrize("death", DEATHS)
@every_way
@every_dialect
def test_a_backend_that_dies_is_never_taken_for_success(ask, dialect, way, death):
    expected = {
        "whole": (openai.InternalServerError, anthropic.InternalServerError),
        "raw": (openai.APIError, anthropic.APIStatusError),
    }
    with pytest.raises(expected["whole" if way == "whole" else "raw"]):
        ask(dialect, way, said(dialect, f"@script {death}"))
