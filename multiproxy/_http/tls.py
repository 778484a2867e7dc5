"""TLS settings -> contexts: ours as a server, and ours as a client of backends.

TLS 1.2 at least, HTTP/1.1 only. The protocol code is the same with and without: the loop puts
TLS between the socket and the connection.
"""

import ssl

from multiproxy.config import BackendTls, Url
from multiproxy.errors import BadCertificate

_PROTOCOLS = ["http/1.1"]  # ALPN: a client that can HTTP/2 as well must not choose it


def server_context(cert: str, key: str) -> ssl.SSLContext:
    """Return the context of a listener; both files are PEM.

    Raises:
        BadCertificate: a file is missing, malformed, or they do not belong together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_PROTOCOLS)
    try:
        # A key with a password would ask the terminal for it and wait.
        context.load_cert_chain(cert, key, password=_refuse_password)
    except (OSError, ValueError) as error:
        raise BadCertificate(f"tls: {cert} and {key}: {_reason(error)}") from None
    return context


def backend_context(tls: BackendTls | None, url: Url) -> ssl.SSLContext | None:
    """Return the context of connections to a backend; None when it speaks plain HTTP.

    Raises:
        BadCertificate: the file of authorities is missing or holds no certificate.
    """
    if url.scheme != "https":
        return None
    tls = tls or BackendTls()
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except (OSError, ValueError) as error:
        raise BadCertificate(f"tls: {tls.ca}: {_reason(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_PROTOCOLS)
    if not tls.verify:  # encrypted, but anybody may be at the other end
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _refuse_password() -> str:
    raise ValueError("the key has a password")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)
