"""Embeddings and rerankings, as recorded."""

import pytest

NAMES = """
embeddings.error.empty embeddings.error.not-enabled embeddings.error.too-long embeddings.native
embeddings.v1.base64 embeddings.v1.two rerank.error.no-documents rerank.error.not-enabled
""".split()


@pytest.mark.parametrize("name", NAMES)
async def test_vectors_and_scores_have_the_recorded_shape(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)


async def test_reranking_puts_the_best_document_first(simulate, client):
    server = await simulate(rerank=True)
    async with client(server.port) as connection:
        body = {"query": "cat", "documents": ["dog", "cat"], "top_n": 1}
        answer = await connection.ask(body, "/v1/rerank")
    assert [result["index"] for result in answer["results"]] == [1]
