"""Whether what an SDK hands out is what its types promise: it builds answers without a check."""

from typing import Any, TypeVar

from pydantic import BaseModel

Answer = TypeVar("Answer", bound=BaseModel)


def typed(answer: Answer) -> Answer:
    """``answer``, which has every required member, each of the type it was promised to have.

    Raises:
        ValidationError: it has not.
    """
    type(answer).model_validate(answer.model_dump())
    return answer


def typed_events(stream: Any) -> list[Any]:
    """All events of a raw stream, each of its type."""
    return [typed(event) for event in stream]
