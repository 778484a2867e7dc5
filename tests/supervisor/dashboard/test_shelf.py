import pytest

from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.shelf import Shelf

A, B = Look("requests", (("q", "a"),)), Look("requests", (("q", "b"),))


@pytest.fixture
def shelf():
    shelf = Shelf(lambda look: shelf.answers(look))
    shelf.asked = []

    async def answers(look):
        shelf.asked.append(look)
        return (f"{look.query[0][1]}{len(shelf.asked)}",)

    shelf.answers = answers
    return shelf


async def test_what_was_fetched_is_there_for_the_drawing(shelf):
    shelf.put(A, await shelf.answers(A))
    assert (shelf.of(A), shelf.of(B)) == (("a1",), ())


async def test_only_what_is_looked_at_is_fetched_again(shelf):
    shelf.put(A, await shelf.answers(A))
    shelf.put(B, await shelf.answers(B))
    shelf.of(A)
    await shelf.refresh()
    assert shelf.asked == [A, B, A]
    assert (shelf.of(A), shelf.of(B)) == (("a3",), ())
    await shelf.refresh()
    await shelf.refresh()  # nobody looked since
    assert len(shelf.asked) == 5
    assert shelf._found == {}


async def test_a_question_that_fails_leaves_the_others_alone(shelf):
    shelf.put(B, await shelf.answers(B))
    good = shelf.answers

    async def answers(look):
        if look == A:
            raise OSError("no disk")
        return await good(look)

    shelf.answers = answers
    shelf.of(A)
    shelf.of(B)
    await shelf.refresh()
    assert shelf.of(B) == ("b2",)
