"""Streams of Chat events as a backend may send them, drawn for property tests."""

from collections.abc import Sequence
from random import Random

import chat_notation as chat
import recordings
from dialects.mutations import EVERYTHING, mutated
from hypothesis import strategies as st

texts = st.text(min_size=1, max_size=6)
endings = st.one_of(
    st.builds(
        lambda reason: chat.finish(reason) + chat.usage() + chat.DONE,
        st.sampled_from(["stop", "tool_calls", "length", "content_filter", "other"]),
    ),
    st.sampled_from([b"", chat.DONE, chat.ERROR, chat.finish() + chat.ERROR]),
)


def chunks(
    words: st.SearchStrategy[str],
    *,
    ids: Sequence[str],
    names: Sequence[str],
    letters: str,
    arguments: Sequence[str],
) -> st.SearchStrategy[bytes]:
    """One event: ``words``, or pieces of calls with these ids, names and arguments.

    ``letters`` are those of which other arguments are made.
    """
    fragments = st.builds(
        chat.fragment,
        st.one_of(st.none(), st.integers(0, 2)),
        st.one_of(st.none(), st.sampled_from(ids)),
        st.sampled_from(names),
        st.one_of(st.text(alphabet=letters, max_size=8), st.sampled_from(arguments)),
    )
    return st.one_of(
        st.builds(chat.text, words),
        st.builds(chat.reasoning, words),
        st.builds(chat.refusal, words),
        st.builds(lambda some: chat.calls(*some), st.lists(fragments, min_size=1, max_size=3)),
        st.just(chat.ROLE),
        st.just(chat.progress(10, 4, 6)),
        st.just(b": comment\n\n"),
    )


def mutations(random: Random, count: int) -> list[bytes]:
    """So many streams with mistakes in them."""
    sources = [
        EVERYTHING,
        recordings.body("chat.stream.include_usage"),
        recordings.body("chat.stream.think.tools-required"),
        recordings.body("chat.stream.logprobs"),
    ]
    return [mutated(random.choice(sources), random) for _ in range(count)]
