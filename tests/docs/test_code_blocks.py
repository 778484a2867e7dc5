"""Every code block of README.md and docs/getting-started.md does what its page says."""

import os
import re
from pathlib import Path

import pytest
from doc_session import ROOT, Block, Session, blocks_of

README = ROOT / "README.md"
STARTED = ROOT / "docs/getting-started.md"


@pytest.fixture
def session(tmp_path):
    session = Session(tmp_path)
    yield session
    session.close()


def test_the_readme(session):
    session.has_venv()
    printed = {block: session.run(block) for block in blocks_of(README)}
    streamed = [text for block, text in printed.items() if "curl -N" in block.text]
    assert len(streamed) == 1 and "data: [DONE]" in streamed[0]
    assert any(text for block, text in printed.items() if block.language == "python")


@pytest.mark.timeout(500)
def test_getting_started(session):
    printed: dict[Block, str] = {}
    for block in blocks_of(STARTED):
        try:
            printed[block] = session.run(block)
        except AssertionError as error:
            if "pip install" in block.text and "MULTIPROXY_SKIP_NOTHING" not in os.environ:
                pytest.skip(f"pip cannot install here: {error}")
            raise

    def shown(part):
        (text,) = [text for block, text in printed.items() if part in block.text]
        return text

    assert shown("multiproxy init").count("llama-server: qwen3-32b\n") == 2
    assert "no backend is down" in shown("check --probe")
    assert '"id":"qwen3-32b"' in shown("/v1/models")
    assert "data: [DONE]" in shown("curl -N")
    assert shown("from anthropic import")
    assert "qwen3-32b" in shown("multiproxy status")
    assert (session.folder / "multiproxy.bash").read_text().startswith("# bash completion")


PAGES = sorted([README, ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_refers_to_is_there(page: Path):
    named = set(
        re.findall(r"`((?:docs|deploy|scripts|tests|perf|multiproxy)/[\w./-]*)`", page.read_text())
    )
    missing = [name for name in named if not (ROOT / name).exists()]
    assert missing == []
