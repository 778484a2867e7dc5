"""Writes tiny GGUF models that a real llama.cpp server loads: no download, no training.

The network is a bigram table in disguise: attention and feed-forward weights are faint noise, the
embedding of each token is random and nearly orthogonal to the others, and the output row of a
token is the sum of the embeddings of the tokens it may follow (toy_language.py). So it talks
gibberish at thousands of tokens per second, obeys seed, temperature, grammar and logit_bias like
any model, and ends after a few sentences.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from engine.toy_language import Vocabulary, bigrams, vocabulary
from numpy.typing import NDArray

Kind = Literal["chat", "think", "embed", "rerank", "slow"]
"""What a model is for: plain chat, chat that thinks first, embeddings (mean pooling), reranking
(a one-output classifier), or chat that is slow on purpose (some 110 MB instead of 0.3)."""

TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text().rstrip()
TRAINED_CONTEXT = 131_072  # tokens; a server's --ctx-size stays below it
SEED = 7


@dataclass(frozen=True)
class Shape:
    layers: int = 2
    width: int = 64
    heads: int = 4
    feed_forward: int = 128

    @property
    def head_width(self) -> int:
        return self.width // self.heads


SLOW = Shape(layers=16, width=512, heads=8, feed_forward=1536)


def write_model(kind: Kind, path: Path) -> None:
    shape = SLOW if kind == "slow" else Shape()
    words = vocabulary()
    writer = gguf.GGUFWriter(path, "qwen3" if kind == "rerank" else "llama")
    _describe_network(writer, kind, shape, len(words.tokens))
    _describe_tokeniser(writer, kind, words)
    for name, weights in _tensors(kind, shape, words):
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe_network(writer: gguf.GGUFWriter, kind: Kind, shape: Shape, vocabulary: int) -> None:
    writer.add_name(f"tiny-{kind}")
    writer.add_context_length(TRAINED_CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    if kind == "rerank":
        writer.add_pooling_type(gguf.PoolingType.RANK)
        writer.add_array("qwen3.classifier.output_labels", ["yes"])
    else:
        writer.add_rope_dimension_count(shape.head_width)
        writer.add_vocab_size(vocabulary)
    if kind == "embed":
        writer.add_pooling_type(gguf.PoolingType.MEAN)


def _describe_tokeniser(writer: gguf.GGUFWriter, kind: Kind, words: Vocabulary) -> None:
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token.encode() for token in words.tokens])
    writer.add_token_scores(words.scores)
    writer.add_token_types(words.types)
    writer.add_unk_token_id(words.id_of["<unk>"])
    writer.add_bos_token_id(words.id_of["<s>"])
    writer.add_eos_token_id(words.id_of["<|im_end|>"])
    writer.add_pad_token_id(words.id_of["</s>"])
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    thinks = "true" if kind == "think" else "false"
    writer.add_chat_template(f"{{%- set thinks = {thinks} %}}\n{TEMPLATE}")


def _tensors(kind: Kind, shape: Shape, words: Vocabulary) -> Iterator[tuple[str, NDArray]]:
    """Yield (llama.cpp's tensor name, weights [output][input]); large ones as 16-bit floats."""
    random = np.random.default_rng(SEED)
    one, half = np.float32, np.float16

    def noise(*dimensions: int) -> NDArray:
        return (random.standard_normal(dimensions) * 0.02 / np.sqrt(dimensions[-1])).astype(half)

    embedding = random.standard_normal((len(words.tokens), shape.width)).astype(one)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    output = np.zeros_like(embedding)
    for before, after in set(bigrams(words)):
        output[after] += embedding[before]
    # After the final RMS norm |h| = sqrt(width): a matching row gives a logit of about 18.
    output *= 18.0 / np.sqrt(shape.width)

    yield "token_embd.weight", embedding.astype(half)
    yield "output_norm.weight", np.ones(shape.width, one)
    yield "output.weight", output.astype(half)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", np.ones(shape.width, one)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"{block}.{part}.weight", noise(shape.width, shape.width)
        if kind == "rerank":
            yield f"{block}.attn_q_norm.weight", np.ones(shape.head_width, one)
            yield f"{block}.attn_k_norm.weight", np.ones(shape.head_width, one)
        yield f"{block}.ffn_norm.weight", np.ones(shape.width, one)
        yield f"{block}.ffn_gate.weight", noise(shape.feed_forward, shape.width)
        yield f"{block}.ffn_up.weight", noise(shape.feed_forward, shape.width)
        yield f"{block}.ffn_down.weight", noise(shape.width, shape.feed_forward)
    if kind == "rerank":
        yield "cls.output.weight", random.standard_normal((1, shape.width)).astype(one)
