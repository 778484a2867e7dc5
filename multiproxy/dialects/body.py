"""A request's body, decompressed within bounds."""

import zlib

import zstandard

from multiproxy.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding

_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's sign for "a gzip header and trailer"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAX_WINDOW = 1 << 27  # bytes of memory that a zstd frame may ask for
_ZSTD_SLICE = 512  # bytes; what one of them unpacks to is the most that goes over a bound
_MAX_CODINGS = 2


def decompressed(body: bytes, content_encoding: str, max_size: int) -> bytes:
    """Undo the codings of a ``Content-Encoding`` field, ``""`` for none.

    ``max_size`` is in bytes, of the result. Source: RFC 9110 section 8.4; RFC 8878.

    Raises:
        UnsupportedEncoding: a coding that this server does not know, or too many.
        BodyTooLarge: the result has more than ``max_size`` bytes.
        InvalidRequest: the data are not what the field says.
    """
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if len(codings) > _MAX_CODINGS:
        raise UnsupportedEncoding("The request body has too many content codings.")
    for coding in reversed(codings):
        body = _decoded(body, coding, max_size)
    return body


def _decoded(body: bytes, coding: str, max_size: int) -> bytes:
    match coding:
        case "gzip" | "x-gzip" if body.startswith(_GZIP_MAGIC):
            unpacked = _inflated(body, _GZIP_WINDOW, max_size)
        case "deflate":
            # RFC 9110 means zlib's format; some clients send the bare stream.
            is_zlib = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
            unpacked = _inflated(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS, max_size)
        case "zstd" if body.startswith(_ZSTD_MAGIC):
            unpacked = _unzstd(body, max_size)
        case "gzip" | "x-gzip" | "zstd":
            raise InvalidRequest(f"The request body is not {coding} data.")
        case _:
            raise UnsupportedEncoding(
                "The request body may be encoded with gzip, deflate or zstd only."
            )
    if len(unpacked) > max_size:
        raise BodyTooLarge(f"The request body has more than {max_size} bytes when decompressed.")
    return unpacked


def _inflated(body: bytes, window: int, max_size: int) -> bytes:
    out = bytearray()
    rest = body
    while rest and len(out) <= max_size:
        unpacker = zlib.decompressobj(window)
        try:
            out += unpacker.decompress(rest, max_size + 1 - len(out))
        except zlib.error as error:
            raise InvalidRequest("The compressed request body is damaged.") from error
        if not unpacker.eof:
            if len(out) <= max_size:
                raise InvalidRequest("The compressed request body ends too early.")
            break
        # A gzip file may have several members; anything else behind the end is a mistake.
        rest = unpacker.unused_data
        if rest and not (window == _GZIP_WINDOW and rest.startswith(_GZIP_MAGIC)):
            raise InvalidRequest("There is something behind the compressed request body.")
    return bytes(out)


def _unzstd(body: bytes, max_size: int) -> bytes:
    """The frames of ``body``, unpacked slice by slice: a block of 4 bytes may hold 128 KiB."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    out = bytearray()
    unpacker = None
    try:
        for start in range(0, len(body), _ZSTD_SLICE):
            piece = body[start : start + _ZSTD_SLICE]
            while piece:
                unpacker = unpacker or decompressor.decompressobj()
                out += unpacker.decompress(piece)
                if len(out) > max_size:
                    return bytes(out)
                piece = b""
                if unpacker.eof:  # another frame may follow
                    piece, unpacker = unpacker.unused_data, None
    except zstandard.ZstdError as error:
        raise InvalidRequest("The compressed request body is damaged.") from error
    if unpacker is not None:
        raise InvalidRequest("The compressed request body ends too early.")
    return bytes(out)
