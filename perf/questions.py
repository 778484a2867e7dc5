"""What may be asked of a proxy: where, with which body, and who judges the answer."""

from collections.abc import Callable
from typing import NamedTuple

import answers
from dialect_judges import MessagesJudge, ResponsesJudge
from judge import ChatJudge, Judge
from plan import Plan
from whole_judges import RewrittenJudge, SmallJudge, WholeChatJudge

_BLOCKS_PER_TURN = 64  # 4 KB: what agents send has many messages

Body = dict[str, object]


class Question(NamedTuple):
    """One kind of request."""

    path: str
    judge: type[Judge]
    body: Callable[[Plan], Body]  # its plan is the prompt


def _turns(plan: Plan) -> list[Body]:
    """A conversation whose last word is the plan, behind its ballast."""
    turns: list[Body] = []
    for start in range(0, plan.ballast, _BLOCKS_PER_TURN):
        text = plan.block() * min(_BLOCKS_PER_TURN, plan.ballast - start)
        turns.append({"role": ("user", "assistant")[len(turns) % 2], "content": text})
    return [*turns, {"role": "user", "content": plan.prompt()}]


def _chat(plan: Plan) -> Body:
    return {"model": answers.MODEL, "stream": True, "messages": _turns(plan)}


def _whole_chat(plan: Plan) -> Body:
    return {"model": answers.MODEL, "messages": _turns(plan)}


def _messages(plan: Plan) -> Body:
    return _chat(plan) | {"max_tokens": plan.events + 1}


def _responses(plan: Plan) -> Body:
    return {"model": answers.MODEL, "stream": True, "store": False, "input": _turns(plan)}


def _embedding(plan: Plan) -> Body:
    return {"model": answers.MODEL, "input": plan.prompt()}


STREAMED = {
    "chat": Question("/v1/chat/completions", ChatJudge, _chat),
    "messages": Question("/v1/messages", MessagesJudge, _messages),
    "responses": Question("/v1/responses", ResponsesJudge, _responses),
}
QUESTIONS = STREAMED | {
    "whole chat": Question("/v1/chat/completions", WholeChatJudge, _whole_chat),
    "embedding": Question("/v1/embeddings", SmallJudge, _embedding),
    # For proxies that parse the answer and write another JSON.
    "rewritten embedding": Question("/v1/embeddings", RewrittenJudge, _embedding),
}
