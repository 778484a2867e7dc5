"""Real llama.cpp servers for the tests of this folder: models made once, engines ended after."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from engine.gguf_model import Kind, write_model
from engine.launcher import Engine

EngineFactory = Callable[..., Engine]

ROLE: dict[Kind, dict[str, object]] = {
    "embed": {"embedding": True, "n_batch": 512, "n_ubatch": 512},
    "rerank": {"embedding": True, "pooling_type": "RANK", "n_batch": 512, "n_ubatch": 512},
}


class Engines:
    """Starts engines, remembers them, and makes each kind of model only once."""

    def __init__(self, folder: Path) -> None:
        self.running: list[Engine] = []
        self._folder = folder

    def start(
        self,
        kind: Kind = "chat",
        *,
        slots: int = 2,
        ctx: int = 4096,
        alias: str | None = None,
        api_key: str | None = None,
        **parameters: object,
    ) -> Engine:
        """Start one; ``ctx`` is its tokens per slot, ``parameters`` are llama.cpp's own."""
        model = self._folder / f"tiny-{kind}.gguf"
        if not model.exists():
            write_model(kind, model)
        settings = ROLE.get(kind, {}) | parameters
        settings["n_parallel"] = slots
        settings["n_ctx"] = slots * ctx
        settings["model_alias"] = alias or f"tiny-{kind}"
        if api_key:
            settings["api_keys"] = [api_key]
        log = self._folder / f"engine-{len(list(self._folder.glob('*.log')))}.log"
        engine = Engine(model, log, settings)
        self.running.append(engine)
        return engine

    def end(self) -> None:
        while self.running:
            self.running.pop().end()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def shared_engine(model_folder: Path) -> Iterator[EngineFactory]:
    """Give engines that live until the file's last test, the same for the same arguments.

    For tests that do them no harm. Not longer: other tests count this process's children.
    """
    engines = Engines(model_folder)
    yield cache(engines.start)
    engines.end()


@pytest.fixture
def engine_factory(model_folder: Path) -> Iterator[EngineFactory]:
    """Start engines that a test may kill."""
    engines = Engines(model_folder)
    yield engines.start
    engines.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show what the engines wrote beside the traceback of a test that failed."""
    report = yield
    if report.failed and "model_folder" in getattr(item, "fixturenames", ()):
        folder = item.funcargs.get("model_folder")  # type: ignore[attr-defined]
        for log in sorted(folder.glob("*.log")) if folder else ():
            report.sections.append((f"llama-server {log.name}", log.read_text()[-2000:]))
    return report
