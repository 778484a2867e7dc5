"""Recorded answers of real llama-servers, in ``tests/wire``."""

import re
from pathlib import Path

_FOLDER = Path(__file__).parent / "wire"
# Sizes are not believed, because the recorder left ordinary chunks out of long answers. What
# the servers send inside a chunk has lone line feeds.
_CUT = re.compile(rb"data: [^\n]*\n\[\.\.\. cut [^\n]*\n[^\n]*\n\n")
_CHUNK_FRAMING = re.compile(rb"(?:\r\n|\A)[0-9a-f]+\r\n")


def names(pattern: str) -> list[str]:
    """The recordings whose file names match, without ``.txt``."""
    return sorted(path.name.removesuffix(".txt") for path in _FOLDER.glob(f"{pattern}.txt"))


def body(name: str) -> bytes:
    """The body of the recorded answer without its chunked coding; it may have been cut."""
    head, _, rest = (_FOLDER / f"{name}.txt").read_bytes().partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        return rest
    return _CUT.sub(b"", _CHUNK_FRAMING.sub(b"", rest)).removesuffix(b"\r\n")
