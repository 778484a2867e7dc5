"""The bytes of llama-server's answers, as recorded from a real one, with the perf tokens in.

Heads, chunk framing and member order follow the wire of llama.cpp's own server; sizes are
what a small model's answers have (about 275 bytes per event).
"""

import hashlib

from plan import Digest, Plan

MODEL = "perf"
SLOTS = 4096  # as many streams as a run may want: the backend is never what is measured
CONTEXT_SIZE = 131072

# The keep-alive promise is llama-server's default; a proxy must renew its connections by it.
_KEEP_ALIVE = b"Keep-Alive: timeout=5, max=100\r\n"
_COMMON = b"HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nAccess-Control-Allow-Origin: \r\n"
STREAM_HEAD = (
    _COMMON
    + b"X-Accel-Buffering: no\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
)
DONE_CHUNK = b"e\r\ndata: [DONE]\n\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
NOT_FOUND = b'{"error":{"message":"File Not Found","type":"not_found_error","code":404}}'

HEALTH = b'{"status":"ok"}'
PROPS = (
    b'{"default_generation_settings":{"params":{"seed":4294967295,"temperature":0.8},"n_ctx":%d},'
    b'"total_slots":%d,"model_alias":"%s","model_path":"/models/perf.gguf",'
    b'"modalities":{"vision":false,"audio":false},"endpoint_slots":true,"endpoint_props":true,'
    b'"endpoint_metrics":true,"chat_template":"","build_info":"b0-perf","is_sleeping":false}'
) % (CONTEXT_SIZE, SLOTS, MODEL.encode())
MODELS = (
    b'{"object":"list","data":[{"id":"%s","aliases":["%s"],"tags":[],"object":"model",'
    b'"architecture":{"input_modalities":["text"],"output_modalities":["text"]},'
    b'"created":1795396732,"owned_by":"llamacpp","meta":{"n_ctx":%d,"n_ctx_train":%d}}]}'
) % (MODEL.encode(), MODEL.encode(), CONTEXT_SIZE, CONTEXT_SIZE)


def json_answer(body: bytes, closes: bool = False, status: bytes = b"200 OK") -> bytes:
    """A whole answer with a length; ``closes``: the last one on its connection."""
    return (
        (_COMMON if status == b"200 OK" else _COMMON.replace(b"200 OK", status))
        + b"Content-Type: application/json; charset=utf-8\r\n"
        + b"Content-Length: %d\r\n" % len(body)
        + (b"Connection: close\r\n\r\n" if closes else _KEEP_ALIVE + b"\r\n")
        + body
    )


def stream_head(closes: bool) -> bytes:
    """The head of a streamed answer."""
    return STREAM_HEAD + (b"Connection: close\r\n\r\n" if closes else _KEEP_ALIVE + b"\r\n")


def small_body(plan: Plan) -> bytes:
    """An embedding of ``plan.size`` bytes that names its run and request and carries a hash."""
    start = (
        f'{{"model":"{MODEL}","object":"list","usage":{{"prompt_tokens":8,"total_tokens":8}},'
        f'"data":[{{"embedding":[0.25],"index":0,"object":"embedding",'
        f'"answer":"{plan.run}/{plan.request}/'
    )
    digest = hashlib.sha256(start.encode()).hexdigest()
    end = '"}]}'
    filler = "x" * max(0, plan.size - len(start) - len(digest) - len(end))
    return (start + digest + filler + end).encode()


def chat_body(plan: Plan, start_us: int) -> bytes:
    """A whole chat answer: the text that a stream of the plan would have."""
    digest = Digest(plan.ballast)
    words = [plan.token(seq, start_us + seq * plan.period_us) for seq in range(plan.events)]
    for word in words:
        digest.add(word)
    content = "".join(words) + plan.seal(digest.told())
    choice = (
        f'{{"finish_reason":"stop","index":0,"message":{{"role":"assistant",'
        f'"content":"{content}"}}}}'
    )
    usage = f'"prompt_tokens":8,"completion_tokens":{plan.events},"total_tokens":{8 + plan.events}'
    return (
        f'{{"choices":[{choice}],"created":1795396732,"model":"{MODEL}",'
        f'"system_fingerprint":"b0-unknown","object":"chat.completion","usage":{{{usage}}},'
        f'"id":"chatcmpl-{plan.run:0>16.16}{plan.request:016}"}}'
    ).encode()


class StreamText:
    """The chunks of one streamed chat answer, one event in each."""

    def __init__(self, plan: Plan, created: int) -> None:
        self._plan = plan
        self._digest = Digest(plan.ballast)
        self._tail = (
            f'"created":{created},"id":"chatcmpl-{plan.run:0>16.16}{plan.request:016}",'
            f'"model":"{MODEL}","system_fingerprint":"b0-unknown",'
            f'"object":"chat.completion.chunk"'
        )

    def token(self, seq: int, due_us: int) -> bytes:
        """Token ``seq``; the first one comes with the role event in the same chunk."""
        text = self._plan.token(seq, due_us)
        self._digest.add(text)
        event = self._event(text)
        if seq == 0:
            role = '"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}'
            event = f'data: {{"choices":[{{{role}}}],{self._tail}}}\n\n' + event
        return _chunk(event)

    def seal(self) -> bytes:
        """The event with the hash of all tokens so far."""
        return _chunk(self._event(self._plan.seal(self._digest.told())))

    def finish(self, seconds: float) -> bytes:
        """The event with ``finish_reason`` and timings."""
        count = self._plan.events
        timings = (
            f'"timings":{{"cache_n":0,"prompt_n":8,"prompt_ms":1.0,"prompt_per_token_ms":0.125,'
            f'"prompt_per_second":8000.0,"predicted_n":{count},"predicted_ms":{seconds * 1e3:.3f},'
            f'"predicted_per_token_ms":{seconds * 1e3 / max(1, count):.3f},'
            f'"predicted_per_second":{count / max(seconds, 1e-3):.3f}}}'
        )
        choice = '{"finish_reason":"stop","index":0,"delta":{}}'
        return _chunk(f'data: {{"choices":[{choice}],{self._tail},{timings}}}\n\n')

    def _event(self, text: str) -> str:
        choice = f'{{"finish_reason":null,"index":0,"delta":{{"content":"{text}"}}}}'
        return f'data: {{"choices":[{choice}],{self._tail}}}\n\n'


def _chunk(text: str) -> bytes:
    return f"{len(text):x}\r\n{text}\r\n".encode()
