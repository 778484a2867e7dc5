"""Embeddings and rerankings: deterministic numbers in llama-server's shapes."""

import base64
import math
import random
import struct
import zlib
from typing import Any

import orjson

from .prompt import count_tokens
from .settings import Settings
from .wire import Refusal

WIDTH = 64
BATCH = 512  # tokens of one input, llama-server's default ubatch


def vector(text: str) -> list[float]:
    """Return a unit vector of ``WIDTH`` numbers that depends on the text only."""
    chance = random.Random(zlib.crc32(text.encode()))
    raw = [chance.gauss(0, 1) for _ in range(WIDTH)]
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


def _inputs(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(item, int) for item in value):  # one prompt of token ids
            return [str(value)]
        return [item if isinstance(item, str) else str(item) for item in value]
    raise Refusal(400, '"input" must not be empty')


def _counted(text: str) -> int:
    tokens = count_tokens(text)
    if tokens > BATCH:
        raise Refusal(
            500,
            f"input ({tokens} tokens) is too large to process. increase the physical batch size"
            f" (current batch size: {BATCH})",
        )
    return tokens


def _check_enabled(settings: Settings) -> None:
    if not settings.embeddings:
        problem = "This server does not support embeddings. Start it with `--embeddings`"
        raise Refusal(501, problem)


def openai_embeddings(body: dict[str, Any], settings: Settings) -> bytes:
    """Return the body of /v1/embeddings; the model name is the request's own.

    Raises:
        Refusal: embeddings are off, or the input is empty.
    """
    _check_enabled(settings)
    texts = _inputs(body.get("input", body.get("content")))
    tokens = sum(_counted(text) for text in texts)
    packed = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        numbers = vector(text)
        value: Any = numbers
        if packed:
            value = base64.b64encode(struct.pack(f"<{WIDTH}f", *numbers)).decode()
        entry = {"embedding": value, "index": index, "object": "embedding"}
        data.append(entry | {"encoding_format": "base64"} if packed else entry)
    answer = {
        "model": body.get("model", settings.model),
        "object": "list",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "data": data,
    }
    return orjson.dumps(answer)


def native_embeddings(body: dict[str, Any], settings: Settings) -> bytes:
    """Return the body of /embeddings.

    Raises:
        Refusal: embeddings are off, or the input is empty.
    """
    _check_enabled(settings)
    texts = _inputs(body.get("input", body.get("content")))
    entries = [{"index": i, "embedding": [vector(text)]} for i, text in enumerate(texts)]
    return orjson.dumps(entries)


def rerank(body: dict[str, Any], settings: Settings) -> bytes:
    """Return the body of /v1/rerank: Jina's shape, or TEI's when the body has ``texts``.

    Raises:
        Refusal: reranking is off, or there are no documents.
    """
    if not settings.rerank:
        problem = "This server does not support reranking. Start it with `--reranking`"
        raise Refusal(501, problem)
    texts = body.get("documents", body.get("texts"))
    if not isinstance(texts, list) or not texts:
        raise Refusal(400, '"documents" must be a non-empty string array')
    query = vector(str(body.get("query", "")))
    scores = [sum(a * b for a, b in zip(query, vector(str(t)), strict=True)) for t in texts]
    ranked = sorted(enumerate(scores), key=lambda pair: -pair[1])[: body.get("top_n", len(texts))]
    if "texts" in body:
        kept = bool(body.get("return_text"))
        return orjson.dumps(
            [
                {"index": index, "score": score} | ({"text": texts[index]} if kept else {})
                for index, score in ranked
            ]
        )
    tokens = sum(count_tokens(f"{body.get('query')}{text}") for text in texts)
    answer = {
        "model": body.get("model", settings.model),
        "object": "list",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "results": [{"index": index, "relevance_score": score} for index, score in ranked],
    }
    return orjson.dumps(answer)
