"""The filtered requests as a file, from memory and the history, each of them once."""

import csv
import io
import json

from dashboard_client import request
from dashboard_scene import NOW, Scene, finished

from multiproxy.supervisor.dashboard import requests_export
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot


async def file(scene, kind="json", *query):
    look = Look("requests", query)
    seat = requests_export.stream(scene, Snapshot(scene, NOW), look, kind).seat
    return b"".join([piece async for piece in seat._pieces])


def ids(data):
    return [row["id"] for row in json.loads(data)]


async def test_what_is_in_memory_and_in_the_history_is_told_once_newest_first(monkeypatch):
    monkeypatch.setattr(requests_export, "PIECE", 3)
    everything = [finished(f"r_{i:02}", NOW - i) for i in range(10)]
    scene = Scene(finished_list=everything[:4], stored_list=everything[2:])
    assert ids(await file(scene)) == [f"r_{i:02}" for i in range(10)]


async def test_it_is_what_the_filter_finds_from_the_page_on():
    scene = Scene(
        finished_list=[finished(f"r_{i}", NOW - i, key=("ann", "bob")[i % 2]) for i in range(9)]
    )
    before = ("before", f"{NOW - 2!r}_r_2")
    assert ids(await file(scene, "json", ("key", "ann"), before)) == ["r_4", "r_6", "r_8"]


async def test_there_is_a_most(monkeypatch):
    monkeypatch.setattr(requests_export, "MOST", 7)
    monkeypatch.setattr(requests_export, "PIECE", 2)
    rows = [finished(f"r_{i:02}", NOW - i) for i in range(20)]
    assert len(ids(await file(Scene(finished_list=rows[:3], stored_list=rows[3:])))) == 7
    assert len(ids(await file(Scene(finished_list=rows)))) == 7


async def test_a_table_has_a_column_for_each_fact_and_nothing_that_a_spreadsheet_would_run():
    scene = Scene(finished_list=[finished("r_1", NOW, key="=1+1", total_s=3.0, output_tokens=None)])
    (row,) = csv.DictReader(io.StringIO((await file(scene, "csv")).decode()))
    assert tuple(row) == requests_export.COLUMNS
    assert (row["id"], row["key"], row["output_tokens"]) == ("r_1", "'=1+1", "")
    assert (row["started_at"], row["total_s"]) == ("2026-09-21T14:13:17.500+00:00", "3.0")


async def test_without_requests_both_files_are_whole():
    assert json.loads(await file(Scene())) == []
    assert (await file(Scene(), "csv")).decode() == ",".join(requests_export.COLUMNS) + "\r\n"


async def test_both_are_downloads_of_the_filter_that_the_page_shows(serve):
    scene = Scene(finished_list=[finished("r_1", key="ann"), finished("r_2", key="bob")])
    served = await serve(scene)
    assert 'href="/requests.csv?key=ann"' in (await served.get("/requests?key=ann")).text
    client = await served.connect()
    client.send(request("GET", "/requests.json?key=ann"))
    head = await client.head()
    assert (head.status, head.headers["content-type"]) == (200, "application/json")
    assert head.headers["content-disposition"] == 'attachment; filename="multiproxy-requests.json"'
    _, _, rest = (await client.reader.readuntil(b"\r\n0\r\n\r\n")).partition(b"\r\n")
    assert b'"id":"r_1"' in rest and b"r_2" not in rest
