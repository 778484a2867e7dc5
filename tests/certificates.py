"""Certificates of an authority that nobody else trusts, good for a hundred years.

``first`` and ``second`` are for first.test and second.test, localhost and 127.0.0.1; the
authority's own key was thrown away.
"""

import ssl
from pathlib import Path

FOLDER = Path(__file__).parent / "tls"
AUTHORITY = str(FOLDER / "authority.pem")


def pair(name: str) -> tuple[str, str]:
    """The certificate and key files of ``first`` or ``second``."""
    return str(FOLDER / f"{name}.pem"), str(FOLDER / f"{name}.key")


def trusting() -> ssl.SSLContext:
    """What a client that trusts the authority uses."""
    return ssl.create_default_context(cafile=AUTHORITY)


def name_of(peer: ssl.SSLObject) -> str:
    """Whose certificate a client was shown."""
    certificate = peer.getpeercert()
    assert certificate is not None
    return str(dict(part[0] for part in certificate["subject"])["commonName"])
