"""The files of web/static, in memory, under a name that changes with any of them.

All live under one folder named by the hash of everything: /static/HASH/app.css. Then relative
addresses inside the style sheet work without rewriting, every answer may be cached for ever,
and a page of an older version can never be styled by a newer sheet under the old name.
"""

import hashlib
from pathlib import Path

from multiproxy.supervisor.dashboard.messages import Response

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def find_web() -> Path:
    """The web/ folder: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[2]
    installed = package / "web"
    return installed if installed.is_dir() else package.parent / "web"


class StaticFiles:
    """``assets`` names this set of files; ``routes`` are all their answers by path."""

    def __init__(self, folder: Path) -> None:
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.suffix in TYPES
        }
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        self.assets = digest.hexdigest()[:12]
        self._names = frozenset(files)
        self.routes = {
            self.url(name): Response(
                body=content,
                content_type=TYPES[Path(name).suffix],
                cache_control="public, max-age=31536000, immutable",
            )
            for name, content in files.items()
        }

    def url(self, name: str) -> str:
        """The address of a file for templates.

        Raises:
            KeyError: no such file; a page that names one must fail in tests, not in a browser.
        """
        if name not in self._names:
            raise KeyError(name)
        return f"/static/{self.assets}/{name}"

    def find(self, pattern: str) -> str:
        """The one file whose name starts and ends like ``pattern`` around its ``*``."""
        start, _, end = pattern.partition("*")
        found = [n for n in self._names if n.startswith(start) and n.endswith(end)]
        if len(found) != 1:
            raise KeyError(pattern)
        return found[0]
