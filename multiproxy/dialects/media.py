"""Images and documents: which of them a backend is shown, and what it reads instead.

Both dialects' mappers hand their blocks to ``Media`` as a URL or as bytes; the rules are
the same: a backend never gets a ``file:`` URL, and what the model cannot read is an error
in the last user turn but a placeholder in older turns and in tool results.
"""

import binascii
from base64 import b64decode
from typing import Any
from urllib.parse import unquote_to_bytes

from multiproxy.dialects.media_address import SCHEMES, bad_scheme, check_member, not_fetched
from multiproxy.dialects.policy import Policy
from multiproxy.errors import Unsupported

Part = dict[str, Any]
"""One part of a Chat message's ``content``."""

_TEXT_TYPES = ("application/json", "application/xml", "application/yaml", "application/x-yaml")
_TEXT_NAMES = tuple(
    ".txt .md .rst .csv .tsv .json .jsonl .yaml .yml .toml .ini .cfg .xml .html .css .js .ts .tsx"
    " .py .rb .go .rs .c .h .cc .cpp .hpp .java .kt .swift .sh .sql .log .diff .patch .tex".split()
)


def text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def document_text(text: str, title: str | None = None, context: str | None = None) -> str:
    """A document as the model reads it."""
    attributes = "".join(
        f' {name}="{_quotable(value)}"'
        for name, value in (("title", title), ("context", context))
        if value
    )
    return f"<document{attributes}>\n{text}\n</document>"


class Media:
    """The rules for one request; ``path`` arguments are where the client wrote the block."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def image(self, url: str, path: str, *, is_last_turn: bool) -> Part:
        """An image part, or a placeholder for a model without eyes.

        Raises:
            InvalidRequest: the URL is neither http(s) nor data.
            Unsupported: remote images are switched off, or the model takes no images.
        """
        # White space is not part of a URL, but clients break base64 into lines.
        url = "".join(url.split())
        scheme = url[:8].partition(":")[0].lower()
        if scheme not in SCHEMES:
            raise bad_scheme(path)
        if self._policy.vision is False:
            if is_last_turn and self._policy.unsupported_media == "error":
                raise Unsupported(
                    "The model does not support image input.",
                    param=path,
                    code="unsupported_value",
                )
            return text_part("[image omitted: the model does not support image input]")
        if scheme != "data" and self._policy.image_urls == "reject":
            raise not_fetched(path)
        return {"type": "image_url", "image_url": {"url": url}}

    def audio(self, audio: dict[str, Any], path: str) -> Part:
        """An audio part, which has the form of Chat's own.

        Raises:
            InvalidRequest, Unsupported: see ``image``.
        """
        check_member(audio, path, takes_remote=self._policy.image_urls == "forward")
        return {"type": "input_audio", "input_audio": audio}

    def unreadable_document(
        self, media_type: str, size: int | None, path: str, *, is_last_turn: bool
    ) -> Part:
        """A placeholder for a document that is not text.

        ``size`` is in bytes, None when the document is only named.

        Raises:
            Unsupported: it is in the last user turn and the policy rejects it there.
        """
        if is_last_turn and self._policy.documents == "reject":
            kind = "PDF" if "pdf" in media_type else "document"
            raise Unsupported(
                f"{kind} input is not supported by this server",
                param=path,
                code="unsupported_value",
            )
        length = "" if size is None else f", {size} bytes"
        return text_part(f"[document omitted: {media_type}{length}]")


def read_data_url(url: str) -> tuple[str, bytes] | None:
    """Media type (lower case, without parameters) and content; None if it is no data URL."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    if not comma:
        return None
    media_type = head.partition(";")[0].strip().lower() or "text/plain"
    if not head.lower().rstrip().endswith(";base64"):
        return media_type, unquote_to_bytes(data)
    content = decode_base64(data)
    return None if content is None else (media_type, content)


def decode_base64(data: str) -> bytes | None:
    """The bytes; None if ``data`` is not base64. White space in it is ignored."""
    try:
        return b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def text_of_file(media_type: str, name: str, content: bytes) -> str | None:
    """The text of a file that says it is text and is UTF-8; else None."""
    says_text = (
        media_type.startswith("text/")
        or media_type in _TEXT_TYPES
        or name.lower().endswith(_TEXT_NAMES)
    )
    if not says_text:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _quotable(text: str) -> str:
    return text.replace('"', "'")
