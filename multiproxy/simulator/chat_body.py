"""A chat request's body: llama-server's checks, its template, and what the answer will be."""

import re
from itertools import chain, islice, repeat
from random import Random
from typing import Any

from . import prompt, text
from .order import Order, check_context, limit_of, stops_of
from .plan import (
    REASONING_TOKENS,
    Ending,
    Plan,
    Tokens,
    arguments_for,
    letters,
    skip,
    tool_calls,
    until_stop,
)
from .schema import value_for
from .settings import Settings
from .wire import Refusal


class ChatBody:
    """A checked chat body.

    Raises:
        Refusal: as llama-server answers, in its words.
    """

    def __init__(self, body: dict[str, Any], settings: Settings) -> None:
        self.body = body
        self.settings = settings
        tools = body.get("tools")
        self.tools: list[dict[str, Any]] = tools if isinstance(tools, list) else []
        self._check()
        self.messages: list[dict[str, Any]] = body["messages"]
        self.choices = int(body.get("n") or 1)
        self.thinks = self._thinks()
        self.prefill = self._prefill()
        heard = self.messages[:-1] if self.prefill else self.messages
        self.base = prompt.render(heard, self.tools, thinking=self.thinks)
        self.prompt = self.base
        if self.prefill is not None:
            thought = self.prefill.get("reasoning_content") or ""
            closed = "\n</think>\n\n" if self.thinks and prompt.text_of(self.prefill) else ""
            self.prompt += thought + closed + prompt.text_of(self.prefill)
        self.prompt_tokens = prompt.count_tokens(self.prompt)

    @property
    def last_user_text(self) -> str:
        """The text of the last user message, where magic words stand."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return prompt.text_of(message)
        return ""

    def _check(self) -> None:
        body = self.body
        messages = body.get("messages")
        if messages is None:
            raise Refusal(400, "'messages' is required")
        if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
            raise Refusal(400, "Expected 'messages' to be an array")
        most = self.settings.slots
        if body.get("n") is not None and not 1 <= body["n"] <= most:
            problem = f"Value must be between 1 <= value <= {most}, but got {body['n']}"
            raise Refusal(400, f"Field 'n': {problem}")
        if self.tools and body.get("logprobs") and body.get("stream"):
            raise Refusal(400, "logprobs is not supported with tools + stream")
        if body.get("top_logprobs") and not body.get("logprobs"):
            raise Refusal(400, "top_logprobs requires logprobs to be set to true")
        if self.tools and body.get("grammar"):
            raise Refusal(400, "Cannot use custom grammar constraints with tools.")
        choice = body.get("tool_choice")
        if isinstance(choice, str) and choice not in ("auto", "none", "required"):
            raise Refusal(400, f"Invalid tool_choice: {choice}")
        kind = _object(body.get("response_format")).get("type", "text")
        if kind not in ("text", "json_object", "json_schema"):
            raise Refusal(
                400, f'response_format type must be one of "text" or "json_object", but got: {kind}'
            )

    def _thinks(self) -> bool:
        arguments = _object(self.body.get("chat_template_kwargs"))
        wanted = bool(arguments.get("enable_thinking", self.settings.reasoning))
        return wanted and self.body.get("reasoning_effort") != "none"

    def _prefill(self) -> dict[str, Any] | None:
        """Return the assistant message that is to be continued."""
        explicit = self.body.get("continue_final_message")
        if explicit and self.body.get("add_generation_prompt", True):
            problem = "Cannot set both add_generation_prompt and continue_final_message to true."
            raise Refusal(400, problem)
        roles = [message.get("role") for message in self.messages[-2:]]
        if not roles or roles[-1] != "assistant":
            return None
        if not explicit and not self.settings.prefill_assistant:
            return None
        if roles == ["assistant", "assistant"]:
            raise Refusal(400, "Cannot have 2 or more assistant messages at the end of the list.")
        if self.messages[-1].get("tool_calls"):
            raise Refusal(400, "Cannot continue an assistant message that contains tool calls.")
        return self.messages[-1]

    def order(self, index: int = 0) -> Order:
        """Return the order of choice ``index``.

        Raises:
            Refusal: the prompt does not fit the context.
        """
        check_context(self.prompt_tokens, self.settings)
        ending = Ending()
        plan = Plan(self._tokens(index, ending), ending)
        if self.prefill is not None:
            content = prompt.text_of(self.prefill)
            thought = self.prefill.get("reasoning_content") or ""
            plan.tokens = skip(plan.tokens, thought, content)
            if not (self.body.get("continue_final_message") and self.body.get("stream")):
                plan.prefix = content
                plan.thought = thought + "\n" if thought and content else thought
        if stops := stops_of(self.body):
            plan.tokens = until_stop(plan.tokens, stops, ending)
        limit, truncates = limit_of(self.body, self.prompt_tokens, self.settings)
        order = Order(self.prompt, self.prompt_tokens, plan, limit, truncates, self.body, index)
        order.chat_format = "peg-native"
        return order

    def _tokens(self, index: int, ending: Ending) -> Tokens:
        # From the prompt without its prefill: a continued answer says what the broken one
        # would have said.
        seed = int(self.body.get("seed", self.settings.seed))
        chance = text.random_of(seed, self.base, index)
        asked = self.last_user_text
        if found := re.match(r"@echo (\S+)(?: (\d+))?", asked):
            spoken: Tokens = text.echo(found[1])
            return islice(spoken, int(found[2])) if found[2] else spoken
        if found := re.match(r"@tokens (\d+)", asked):
            return islice(text.speak(chance, endless=True), int(found[1]))
        if asked.startswith("@emoji"):
            # Three byte tokens show nothing; the fourth completes the character.
            llama = repeat(text.token("🦙"), 1)
            return chain(repeat(None, 3), llama, text.speak(chance))
        thoughts = self._thoughts(chance)
        called = self._called(asked)
        if called:
            ending.finish_reason = "tool_calls"
            calls = [(t["function"]["name"], arguments_for(t, chance)) for t in called]
            opening = islice(text.speak(chance, endless=True), 3)
            return chain(thoughts, opening, tool_calls(calls, chance))
        form = _object(self.body.get("response_format"))
        schema = self.body.get("json_schema") or _object(form.get("json_schema")).get("schema")
        if schema or form.get("type") == "json_object":
            shape = schema or {"type": "object", "properties": {"ok": {"type": "boolean"}}}
            # The first token of constrained output is still inside the parser.
            first = None if self.thinks else text.HIDDEN
            return chain(thoughts, repeat(first, 1), letters(value_for(shape, chance)))
        spoken = text.speak(chance, endless=bool(self.body.get("ignore_eos")))
        return chain(thoughts, spoken) if self.thinks else spoken

    def _thoughts(self, chance: Random) -> Tokens:
        if not self.thinks:
            return iter(())
        budget = self.body.get("thinking_budget_tokens", REASONING_TOKENS)
        thoughts = text.think(chance, int(self.body.get("reasoning_budget_tokens", budget)))
        if self.body.get("reasoning_format") == "none":
            return text.show_thinking(thoughts)
        return chain(thoughts, repeat(None, 1))  # </think> is a token without text

    def _called(self, asked: str) -> list[dict[str, Any]]:
        """Return the tools that this answer calls: those the user names, or a required one."""
        choice = self.body.get("tool_choice", "auto")
        tools = [tool for tool in self.tools if _object(_object(tool).get("function"))]
        answered = self.messages[-1:] and self.messages[-1].get("role") == "tool"
        if choice == "none" or not tools or (answered and choice == "auto"):
            return []  # after a tool's result an agent wants words, not the call again
        if isinstance(choice, dict):
            wanted = _object(choice.get("function")).get("name")
            return [tool for tool in tools if tool["function"].get("name") == wanted]
        named = [tool for tool in tools if str(tool["function"].get("name")) in asked]
        return named or (tools[:1] if choice == "required" else [])


def _object(value: object) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
