"""What docs/troubleshooting.md quotes is what the program says."""

import re

import pytest
from doc_session import ROOT

PAGE = ROOT / "docs/troubleshooting.md"
QUOTED = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def said():
    """All source as one text, in which sentences are not broken into literals."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "multiproxy").rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_the_page_quotes_messages():
    assert len(QUOTED) > 15


@pytest.mark.parametrize("message", QUOTED)
def test_the_program_says_so(message, said):
    for part in message.split("..."):
        assert part.strip() in said
