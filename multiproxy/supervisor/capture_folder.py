"""The folder of captured requests: made, told of, and cleared when nobody wants it any more."""

import shutil
from pathlib import Path

from multiproxy.config import Capture
from multiproxy.supervisor.log import Log


class CaptureFolder:
    """``private`` is the folder in memory, for those who name none."""

    def __init__(self, private: str, log: Log) -> None:
        self._private = Path(private)
        self._log = log
        self._told = ""

    def make(self, wanted: Capture | None) -> str:
        """Make the folder for a configuration; empty when nothing is to be kept, or cannot be."""
        if wanted is None:
            return ""
        path = Path(wanted.folder).expanduser() if wanted.folder else self._private
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            self._log.error(f"capture: nothing is kept: {error}")
            return ""
        return str(path)

    def serve(self, wanted: Capture | None) -> None:
        """Say what is kept from now on; forget what was kept in memory if nothing is."""
        text = self._text(wanted) if wanted is not None else ""
        if text and text != self._told:
            self._log.warning(text)
        if wanted is None and self._told:
            self._log.info("capture: off")
            shutil.rmtree(self._private, ignore_errors=True)
        self._told = text

    def _text(self, wanted: Capture) -> str:
        whose = f"of {', '.join(wanted.keys)}" if wanted.keys else "of everyone"
        return (
            f"capture: the newest {wanted.requests} requests {whose} are kept with their prompts "
            f"and answers in {wanted.folder or self._private}"
        )
