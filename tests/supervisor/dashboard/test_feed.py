"""The stream contract: snapshot first, then only what changed, and slow readers cost nothing."""

import asyncio
import json

import pytest
from dashboard_client import request
from dashboard_scene import Scene, busy, running

from multiproxy.supervisor.dashboard import feed as feed_module
from multiproxy.supervisor.dashboard.feed import Feed, FeedFull, Look, Render, event, partials
from multiproxy.supervisor.dashboard.pages import PAGES
from multiproxy.supervisor.dashboard.views import EventView

HELLO = {"boot": "b", "assets": "a", "version": "1"}
LOOK = Look("overview")


class Pages:
    """A renderer whose fragments a test sets; counts how often it was asked."""

    def __init__(self) -> None:
        self.slow = "s0"
        self.fast = "f0"
        self.renders: list[tuple[Look, bool]] = []

    def __call__(self) -> Render:
        return self.render

    def render(self, look: Look, fast_only: bool) -> dict[str, str]:
        self.renders.append((look, fast_only))
        return {"fast": self.fast} if fast_only else {"slow": self.slow, "fast": self.fast}


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def feed(pages: Pages) -> Feed:
    return Feed(pages, HELLO, keep_alive_s=0.01)


async def taken(seat) -> str:
    """What waits for this viewer, as text; None stands for the end."""
    message = await seat.next()
    return message.decode()


def round_of(feed: Feed) -> None:
    for _ in range(feed_module.TICKS_PER_ROUND):
        feed.tick()


async def test_a_viewer_is_greeted_and_gets_the_whole_page_first(feed):
    text = await taken(feed.join(LOOK))
    retry, hello, page, rest = text.split("\n\n")
    assert retry == "retry: 1000"
    assert hello == f"event: mp:hello\ndata: {json.dumps(HELLO)}"
    assert page.startswith("id: b-0\ndata: <hx-partial ")
    assert '<hx-partial hx-target="#slow" hx-swap="innerMorph">s0</hx-partial>' in page
    assert '<hx-partial hx-target="#fast" hx-swap="innerMorph">f0</hx-partial>' in page
    assert rest == ""


async def test_nothing_is_sent_while_nothing_changes(feed):
    seat = feed.join(LOOK)
    await taken(seat)
    round_of(feed)
    assert await taken(seat) == ": keep-alive\n\n"


async def test_only_what_changed_is_sent(feed, pages):
    seat = feed.join(LOOK)
    await taken(seat)
    pages.slow = "s1"
    round_of(feed)
    text = await taken(seat)
    assert 'hx-target="#slow" hx-swap="innerMorph">s1<' in text
    assert "#fast" not in text


async def test_fast_fragments_are_sent_on_every_tick_and_slow_ones_once_a_round(feed, pages):
    seat = feed.join(LOOK)
    await taken(seat)
    pages.slow, pages.fast = "s1", "f1"
    feed.tick()
    first = await taken(seat)
    assert "f1" in first and "s1" not in first
    round_of(feed)
    assert "s1" in await taken(seat)


async def test_equal_looks_share_one_render(feed, pages):
    for _ in range(5):
        feed.join(LOOK)
    feed.join(Look("overview", zone="Europe/Berlin"))
    pages.renders.clear()
    feed.tick()
    assert len(pages.renders) == 2


async def test_a_slow_reader_loses_ticks_and_then_gets_everything(feed, pages):
    seat = feed.join(LOOK)  # its greeting is not taken
    pages.fast = "f1"
    feed.tick()
    assert seat.dirty
    await taken(seat)
    pages.fast = "f2"
    round_of(feed)
    text = await taken(seat)
    assert "s0" in text and "f2" in text
    assert not seat.dirty


async def test_a_slow_reader_holds_one_message_however_long_it_sleeps(feed, pages):
    seat = feed.join(LOOK)
    for i in range(1000):
        pages.fast = f"f{i}" * 100
        feed.tick()
    assert len(await taken(seat)) < 1000
    assert await taken(seat) == ": keep-alive\n\n"


async def test_a_slow_reader_does_not_hold_up_another_one(feed, pages):
    feed.join(LOOK)
    seat = feed.join(LOOK)
    await taken(seat)
    pages.fast = "f1"
    feed.tick()
    assert "f1" in await taken(seat)


async def test_the_renderer_sleeps_while_nobody_looks(pages):
    feed = Feed(pages, HELLO, tick_s=0)
    running_feed = asyncio.ensure_future(feed.run())
    seat = feed.join(LOOK)
    while len(pages.renders) < 3:
        await asyncio.sleep(0)
    seat.close()
    await asyncio.sleep(0.01)  # a tick that had begun
    before = len(pages.renders)
    await asyncio.sleep(0.02)
    assert len(pages.renders) == before
    running_feed.cancel()


async def test_a_page_that_cannot_be_drawn_does_not_end_the_feed(pages, caplog):
    feed = Feed(pages, HELLO, tick_s=0)
    seat = feed.join(LOOK)
    await taken(seat)
    pages.renders = None  # type: ignore[assignment]
    running_feed = asyncio.ensure_future(feed.run())
    while "could not render" not in caplog.text:
        await asyncio.sleep(0)
    pages.renders, pages.fast = [], "f1"
    assert "f1" in await taken(seat)
    running_feed.cancel()


async def test_the_thirty_third_viewer_is_refused_until_one_leaves(feed):
    seats = [feed.join(LOOK) for _ in range(32)]
    with pytest.raises(FeedFull):
        feed.join(LOOK)
    seats[0].close()
    feed.join(LOOK)


async def test_an_announcement_reaches_every_viewer_with_the_next_tick(feed):
    seats = [feed.join(LOOK) for _ in range(2)]
    for seat in seats:
        await taken(seat)
    feed.announce("mp:toast", {"kind": "ok", "text": "<b>\n"})
    feed.tick()
    for seat in seats:
        assert await taken(seat) == ('event: mp:toast\ndata: {"kind": "ok", "text": "<b>\\n"}\n\n')


async def test_a_closed_feed_says_goodbye_and_ends(feed):
    seat = feed.join(LOOK)
    await taken(seat)
    feed.close()
    assert await taken(seat) == "event: mp:bye\ndata: {}\n\n"
    assert await seat.next() is None


def test_line_breaks_in_html_become_data_lines():
    message = partials({"x": "one\ntwo\r\nthree\rfour\u2028five"}, "b-1").decode()
    assert message == (
        'id: b-1\ndata: <hx-partial hx-target="#x" hx-swap="innerMorph">one\n'
        "data: two\ndata: three\ndata: four\u2028five</hx-partial>\n\n"
    )


def test_an_event_is_one_line_of_json():
    assert event("mp:bye", {"text": "a\r\nb"}) == b'event: mp:bye\ndata: {"text": "a\\r\\nb"}\n\n'


# -- over the wire -------------------------------------------------------------------------------


async def test_a_stream_begins_with_hello_and_every_fragment(serve):
    served = await serve()
    client = await served.connect()
    client.send(request("GET", "/live/overview"))
    await client.head()
    assert await client.event() == "retry: 1000"
    hello = json.loads((await client.event()).split("data: ")[1])
    assert hello["boot"] == "boot-1"
    assert hello["version"] == "0.1.0"
    page = await client.event()
    for fragment in PAGES[0].live:
        assert f'hx-target="#{fragment.name}"' in page


async def test_a_new_request_arrives_and_nothing_else_does(serve):
    served = await serve(Scene())
    client = await served.connect()
    client.send(request("GET", "/live/overview"))
    await client.head()
    for _ in range(3):
        await client.event()
    served.scene.running_list = [running("r_new")]
    text = await client.event()
    assert 'id="r-r_new"' in text
    assert 'hx-target="#backends"' not in text


async def test_what_happened_becomes_a_toast_once(serve):
    scene = busy()
    scene.event_list = [EventView(1, scene.now, "ok", "before the start")]
    served = await serve(scene)
    client = await served.connect()
    client.send(request("GET", "/live/overview"))
    await client.head()
    for _ in range(3):
        await client.event()
    scene.event_list += [
        EventView(2, scene.now - 60, "err", "too old"),
        EventView(3, scene.now, "err", "gpu-c is down"),
    ]
    assert await client.event() == (
        'event: mp:toast\ndata: {"kind": "err", "text": "gpu-c is down"}'
    )


async def test_the_thirty_third_stream_is_told_503(serve):
    served = await serve()
    for _ in range(32):
        client = await served.connect()
        client.send(request("GET", "/live/overview"))
        await client.head()
    assert (await served.get("/live/overview")).status == 503


async def test_a_stream_that_is_not_read_does_not_grow(serve):
    served = await serve()
    client = await served.connect()
    client.writer.transport.pause_reading()
    client.send(request("GET", "/live/overview"))
    while not len(served.dashboard.feed):
        await asyncio.sleep(0.005)
    seat = served.dashboard.feed._seats[0]
    while not seat.dirty:  # until the buffers of both sockets are full
        row = running(f"r_{served.scene.asked}", model="m" * 10_000)
        served.scene.running_list = [row] * 20
        await asyncio.sleep(0.005)
    assert len(seat._waiting or b"") < 2_000_000
