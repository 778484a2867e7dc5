"""Addresses of images and recordings that a backend is told to fetch, and which of them it may be.

A backend reads what it is given an address of, with its own rights and from its own place in the
network: of a file on its disk (llama-server's ``--media-path``), or of a service that only it can
reach. Addresses are looked at wherever a request is relayed as it is; translated requests hold
none but those that ``Media`` let pass.
"""

import re
from collections.abc import Mapping

from multiproxy.errors import InvalidRequest, Unsupported

SCHEMES = ("http", "https", "data")
_TEXTS = ("text", "input_text", "output_text")
# Members of a part that hold an address: as they are, or in a member of their own.
_MEDIA = ("image_url", "input_audio", "audio_url", "input_video", "video_url", "file_url", "source")
_HOLDS = ("base64", "text")  # a source that is there itself
_NESTED = ("content", "output")  # what tools gave back
# Parsers of addresses pass over it.
_BLANK = re.compile(r"[\x00-\x20]+")


def check_media(messages: object, path: str, *, takes_remote: bool) -> None:
    """Look at every part of a conversation: of ``messages``, or of Responses' ``input``.

    ``takes_remote`` is whether a backend may fetch what is not in the request itself.

    Raises:
        InvalidRequest: an address is neither http(s) nor data.
        Unsupported: it is http(s), which is switched off.
    """
    if not isinstance(messages, list):
        return
    for name in _NESTED if path == "input" else _NESTED[:1]:
        for number, message in enumerate(messages):
            if type(message) is dict and type(parts := message.get(name)) is list:
                _check_parts(parts, f"{path}[{number}].{name}", takes_remote)


def check_address(address: str, path: str, *, takes_remote: bool) -> None:
    """Look at one address; text without a scheme is base64.

    Raises:
        InvalidRequest: it is neither http(s) nor data.
        Unsupported: it is http(s), which is switched off.
    """
    colon = address.find(":")
    if colon < 0:
        return
    scheme = _BLANK.sub("", address[:colon]).lower()
    if scheme not in SCHEMES:
        raise bad_scheme(path)
    if scheme != "data" and not takes_remote:
        raise not_fetched(path)


def check_member(media: Mapping[str, object], path: str, *, takes_remote: bool) -> None:
    """Look at what a part's own member says: of an address, or in place of one.

    Raises:
        InvalidRequest, Unsupported: see ``check_address``.
    """
    for key in ("url", "data"):
        if type(address := media.get(key)) is str:
            check_address(address, f"{path}.{key}", takes_remote=takes_remote)


def bad_scheme(path: str) -> InvalidRequest:
    """The error about an address that is neither http(s) nor data."""
    return InvalidRequest("Only http, https and data URLs are accepted for images.", param=path)


def not_fetched(path: str) -> Unsupported:
    """The error about an address where addresses are switched off."""
    return Unsupported(
        "Image URLs are not fetched by this server; send the image as base64.",
        param=path,
        code="unsupported_value",
    )


def _check_parts(parts: list[object], path: str, takes_remote: bool) -> None:
    for number, part in enumerate(parts):
        if type(part) is not dict or part.get("type") in _TEXTS:
            continue
        where = f"{path}[{number}]"
        for name in _MEDIA:
            media = part.get(name)
            if type(media) is str:
                check_address(media, f"{where}.{name}", takes_remote=takes_remote)
            elif type(media) is dict and media.get("type") not in _HOLDS:
                check_member(media, f"{where}.{name}", takes_remote=takes_remote)
        for name in _NESTED:
            if type(nested := part.get(name)) is list:
                _check_parts(nested, f"{where}.{name}", takes_remote)
