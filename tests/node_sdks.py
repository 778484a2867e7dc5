"""The Node SDKs of OpenAI and Anthropic, in a process of their own."""

import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "node"
ANSWER_LIMIT_S = 40.0  # an SDK's own limit is 30
NODE = shutil.which("node")


def _missing() -> str:
    """What keeps these tests from running; empty when nothing does."""
    if NODE is None:
        return "node is not installed (apt-get install nodejs npm)"
    if not (FOLDER / "node_modules" / "installed-for").exists():
        return "the Node SDKs are not installed: ./test.sh does that when npm is there"
    return ""


# On the build machine everything is there, so what is missing is a mistake and not a reason.
_MAY_SKIP = "MULTIPROXY_SKIP_NOTHING" not in os.environ
needs_node = pytest.mark.skipif(bool(_missing()) and _MAY_SKIP, reason=_missing())


class NodeError(Exception):
    """What a Node SDK threw.

    ``kind`` is its class, ``is_sdks`` whether that is one of the SDKs' API errors; ``status``,
    ``code`` and ``type`` are None where the error has none.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(f"{told['class']}: {told['message']}")
        self.kind: str = told["class"]
        self.is_sdks: bool = told["isSdks"]
        self.status: int | None = told["status"]
        self.code: str | None = told["code"]
        self.type: str | None = told["type"]
        self.message: str = told["message"]


class NodeSdks:
    """Both SDKs, without retries, before the MultiProxy at ``url``; ``asker.mjs`` has the ways."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [NODE or "node", str(FOLDER / "asker.mjs"), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, dialect: str, way: str, body: dict[str, Any]) -> Any:
        """Return what the SDK returned, as JSON.

        Raises:
            NodeError: the SDK threw.
            TimeoutError: it did neither.
        """
        question = {"dialect": dialect, "way": way, "body": body}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        if not select.select([self._process.stdout], [], [], ANSWER_LIMIT_S)[0]:
            raise TimeoutError(f"{dialect}, {way}: the SDK hangs")
        line = self._process.stdout.readline()
        assert line, "the Node process ended: see what it wrote to stderr"
        outcome = json.loads(line)
        if "error" in outcome:
            raise NodeError(outcome["error"])
        return outcome["answer"]

    def end(self) -> None:
        """End the process."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
