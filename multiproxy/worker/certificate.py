"""The listener's certificate: read again when its files change, so that renewing needs no reload.

A pair that does not fit together yet (the certificate is written before the key) changes
nothing; it is tried again until it does.
"""

import os
import ssl
import sys

from multiproxy._http.tls import server_context
from multiproxy.config import Tls
from multiproxy.errors import BadCertificate

_Signature = tuple[tuple[int, int, int], ...]


class Certificate:
    """``context`` is for connections that begin now; those that run keep theirs.

    Raises:
        BadCertificate: the files cannot be used.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._read = self._seen = _signature(tls)
        self.context: ssl.SSLContext = server_context(tls.cert, tls.key)

    def refresh(self) -> None:
        """Look at the files; about once a second."""
        found = _signature(self._tls)
        if found == self._read:
            return
        try:
            self.context = server_context(self._tls.cert, self._tls.key)
        except BadCertificate as error:
            if found != self._seen:  # once for each state of the files
                print(f"{error}; the certificate before stays", file=sys.stderr)
        else:
            self._read = found
        self._seen = found


def _signature(tls: Tls) -> _Signature:
    """What changes when a file does, be it rewritten, renamed over or linked elsewhere."""
    found = []
    for path in (tls.cert, tls.key):
        try:
            status = os.stat(path)
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)
