"""The parts of Responses messages and tool outputs as parts of Chat messages.

``where`` arguments are the path that the client would use, ``input[3].content``.
"""

from typing import Any

from multiproxy.dialects.conversation import joined
from multiproxy.dialects.media import (
    Media,
    Part,
    decode_base64,
    document_text,
    read_data_url,
    text_of_file,
    text_part,
)
from multiproxy.dialects.request import encoded
from multiproxy.errors import InvalidRequest, Unsupported

_TEXT_TYPES = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_PART_TYPES = (*_TEXT_TYPES, "input_image", "input_file", "input_audio", "refusal")


class ContentReader:
    """Reads the content of one request's items."""

    def __init__(self, media: Media) -> None:
        self._media = media

    def user(self, content: object, where: str, *, is_last_turn: bool) -> str | list[Part]:
        """A user message's content: a string, or a list of parts.

        Raises:
            InvalidRequest: not a string or a list of known parts.
            Unsupported: a file id, or media that the policy rejects.
        """
        if isinstance(content, str):
            return content
        parts = _list(content, where)
        return joined(
            [
                self._part(part, f"{where}[{index}]", is_last_turn=is_last_turn)
                for index, part in enumerate(parts)
            ]
        )

    def text(self, content: object, where: str) -> str:
        """The text of an assistant or system message; what is not text is left out.

        Raises:
            InvalidRequest: not a string or a list of objects.
        """
        if isinstance(content, str) or content is None:
            return content or ""
        texts = []
        for index, part in enumerate(_list(content, where)):
            part = _object(part, f"{where}[{index}]")
            if part.get("type") in _TEXT_TYPES:
                texts.append(_string(part, "text", f"{where}[{index}]"))
            elif part.get("type") == "refusal":
                texts.append(_string(part, "refusal", f"{where}[{index}]"))
        return "".join(texts)

    def tool_output(self, output: object, where: str) -> str | list[Part]:
        """A call's output: text, parts with images, or any other JSON as its text.

        Raises:
            InvalidRequest, Unsupported: as ``user``.
        """
        if isinstance(output, str) or output is None:
            return output or ""
        if not _is_part_list(output):
            return encoded(output).decode()
        parts = [
            self._part(part, f"{where}[{index}]", is_last_turn=False)
            for index, part in enumerate(_list(output, where))
        ]
        return joined(parts, "\n")

    def _part(self, part: object, where: str, *, is_last_turn: bool) -> Part:
        part = _object(part, where)
        match part.get("type"):
            case kind if kind in _TEXT_TYPES:
                return text_part(_string(part, "text", where))
            case "refusal":
                return text_part(_string(part, "refusal", where))
            case "input_image":
                url = _image_url(part, where)
                return self._media.image(url, f"{where}.image_url", is_last_turn=is_last_turn)
            case "input_file":
                return self._file(part, where, is_last_turn=is_last_turn)
            case "input_audio":
                audio = _object(part.get("input_audio"), where)
                return self._media.audio(audio, f"{where}.input_audio")
            case kind:
                raise InvalidRequest(f"Unknown content type {kind!r}.", param=f"{where}.type")

    def _file(self, part: dict[str, Any], where: str, *, is_last_turn: bool) -> Part:
        name = part.get("filename")
        name = name if isinstance(name, str) else ""
        data = part.get("file_data")
        if not isinstance(data, str):
            kind = "file" if part.get("file_id") else "file URL"
            return self._media.unreadable_document(kind, None, where, is_last_turn=is_last_turn)
        media_type, content = "application/octet-stream", decode_base64(data)
        if (read := read_data_url(data)) is not None:
            media_type, content = read
        if content is None:
            raise InvalidRequest(
                "file_data is neither base64 nor a data URL.", param=f"{where}.file_data"
            )
        if media_type.startswith("image/"):
            return self._media.image(data, f"{where}.file_data", is_last_turn=is_last_turn)
        text = text_of_file(media_type, name, content)
        if text is not None:
            return text_part(document_text(text, name))
        if name.lower().endswith(".pdf"):
            media_type = "application/pdf"
        return self._media.unreadable_document(
            media_type, len(content), where, is_last_turn=is_last_turn
        )


def _image_url(part: dict[str, Any], where: str) -> str:
    url = part.get("image_url")
    if isinstance(url, dict):  # the Chat form, which clients mix in
        url = url.get("url")
    if isinstance(url, str):
        return url
    if part.get("file_id"):
        raise Unsupported("This server has no Files API.", param=f"{where}.file_id")
    raise InvalidRequest(
        "An image needs an image_url.",
        param=f"{where}.image_url",
        code="missing_required_parameter",
    )


def _is_part_list(output: object) -> bool:
    """Whether this is content, and not a tool's own JSON that happens to be a list."""
    return (
        isinstance(output, list)
        and bool(output)
        and all(isinstance(part, dict) and part.get("type") in _PART_TYPES for part in output)
    )


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest("Expected a string or a list.", param=where, code="invalid_type")
    return value


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest("Expected an object.", param=where, code="invalid_type")
    return value


def _string(part: dict[str, Any], key: str, where: str) -> str:
    value = part.get(key)
    if not isinstance(value, str):
        raise InvalidRequest("Expected a string.", param=f"{where}.{key}", code="invalid_type")
    return value
