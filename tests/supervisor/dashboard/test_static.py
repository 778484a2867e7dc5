"""Files of web/static: names, types, caching, licences."""

import hashlib
import re

import pytest

from multiproxy.supervisor.dashboard.static import StaticFiles, find_web

STATIC = find_web() / "static"


async def test_a_file_may_be_kept_for_ever(serve):
    served = await serve()
    url = re.search(r'href="(/static/\w+/app\.css)"', (await served.get("/")).text)[1]
    answer = await served.get(url)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body == (STATIC / "app.css").read_bytes()


def test_any_change_gives_every_file_a_new_address(tmp_path):
    (tmp_path / "a.css").write_text("a{}")
    (tmp_path / "b.js").write_text("1")
    before = StaticFiles(tmp_path)
    (tmp_path / "b.js").write_text("2")
    after = StaticFiles(tmp_path)
    assert before.url("a.css") != after.url("a.css")
    assert StaticFiles(tmp_path).url("a.css") == after.url("a.css")


def test_a_missing_file_is_noticed_when_a_page_is_drawn(tmp_path):
    with pytest.raises(KeyError):
        StaticFiles(tmp_path).url("gone.css")
    with pytest.raises(KeyError):
        StaticFiles(tmp_path).find("vendor/*.js")


def test_everything_the_style_sheet_names_is_there():
    css = (STATIC / "app.css").read_text()
    addresses = re.findall(r"url\(\"([^\"]+)\"\)", css)
    assert len(addresses) == 2
    assert all((STATIC / address).is_file() for address in addresses)
    assert "http" not in css


def test_vendored_files_are_the_recorded_ones_and_carry_their_licence():
    notes = (STATIC / "vendor" / "VENDORED.md").read_text()
    [bundle] = STATIC.glob("vendor/htmx-*-sse.min.js")
    for path in [bundle, *STATIC.glob("fonts/*.woff2")]:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in notes
    assert "Zero-Clause BSD" in (STATIC / "vendor" / "LICENSE-htmx").read_text()
    assert "SIL Open Font License" in (STATIC / "fonts" / "OFL.txt").read_text()


def test_all_scripts_together_are_small():
    scripts = [*STATIC.glob("*.js"), *STATIC.glob("vendor/*.js")]
    assert sum(path.stat().st_size for path in scripts) < 60_000
