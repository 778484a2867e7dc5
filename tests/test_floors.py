"""The building's rules, checked: imports go down, tasks have one birthplace, files have tests."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "multiproxy"
TESTS = ROOT / "tests"

FLOORS = [
    {"errors"},
    {"config"},
    {"_http", "auth", "dialects", "routing", "scoreboard"},
    {"simulator"},
    {"worker"},
    {"supervisor"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# A task that nobody holds can vanish in mid-flight, and its exception with it.
MAKES_TASKS = {"worker/tasks.py"}
ROOMS_WITH_TASKS = {"simulator", "supervisor", "cli"}

LINES_THAT_NEED_A_TEST = 60

# Files without a mirror test file, and the test file that does exercise them.
EXERCISED_BY: dict[str, str] = {
    "errors.py": "dialects/test_classify.py",
    "_http/head.py": "_http/test_parser.py",
    # config: parts of the binder, told from outside by what it accepts and refuses
    "config/backend.py": "config/test_bind.py",
    "config/report.py": "config/test_checks.py",
    "config/scalar.py": "config/test_bind.py",
    "config/setting.py": "config/test_bind.py",
    "config/values.py": "config/test_model.py",
    "scoreboard/layout.py": "scoreboard/test_live.py",
    # cli: parsers only, told from outside by what each command does
    "cli/running_commands.py": "cli/test_instance.py",
    # worker: one story in three files, told from outside by what clients see
    "worker/reply.py": "worker/test_exchange.py",
    "worker/serving.py": "worker/test_failover.py",
    "worker/mirrored.py": "worker/test_mirror.py",
    # supervisor: the whole of it, with stand-in workers
    "supervisor/children.py": "supervisor/test_managed.py",
    "supervisor/metrics_now.py": "supervisor/test_metrics.py",
    "supervisor/reloads.py": "supervisor/test_main.py",
    "supervisor/rollout.py": "supervisor/test_main.py",
    "supervisor/simulated.py": "supervisor/test_main.py",
}

SOURCES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@cache
def tree(source: str) -> ast.Module:
    return ast.parse((PACKAGE / source).read_text())


def room_of(source: str) -> str:
    return source.partition("/")[0].removesuffix(".py")


def imported_rooms(source: str, code: ast.Module) -> set[str]:
    """Return the rooms of multiproxy that one source file imports, at any depth."""
    here = ("multiproxy", *source.split("/")[:-1])
    names: list[tuple[str, ...]] = []
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom):
            stem = here[: len(here) - node.level + 1] if node.level else ()
            stem += tuple(node.module.split(".")) if node.module else ()
            names += [(*stem, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [tuple(alias.name.split(".")) for alias in node.names]
    rooms = {name[1] for name in names if name[0] == "multiproxy" and len(name) > 1}
    return rooms - {"__version__"}


def mirror_of(source: str) -> Path:
    folder, _, name = source.rpartition("/")
    return TESTS / folder / f"test_{name}"


def has_code_to_test(source: str) -> bool:
    lines = (PACKAGE / source).read_text().count("\n")
    return lines > LINES_THAT_NEED_A_TEST and not source.endswith("__init__.py")


def test_every_room_has_a_floor():
    assert {room_of(source) for source in SOURCES} - {"__init__"} <= FLOOR_OF.keys()


@pytest.mark.parametrize("source", SOURCES)
def test_imports_go_down_and_never_across_the_hall(source):
    room = room_of(source)
    if room != "__init__":
        upward = {
            other
            for other in imported_rooms(source, tree(source)) - {room}
            if FLOOR_OF[other] >= FLOOR_OF[room]
        }
        assert not upward, f"{source} imports {upward}"


@pytest.mark.parametrize(
    "line",
    [
        "import multiproxy.worker.main",
        "from multiproxy import worker",
        "from multiproxy.worker import main",
        "from ...worker import main",
        "def late():\n    from ...worker.main import run",
    ],
)
def test_every_way_to_import_a_room_is_seen(line):
    assert imported_rooms("supervisor/dashboard/pages.py", ast.parse(line)) == {"worker"}


@pytest.mark.parametrize("source", SOURCES)
def test_tasks_are_made_in_one_place(source):
    if source in MAKES_TASKS or room_of(source) in ROOMS_WITH_TASKS:
        return
    makers = [
        node.lineno
        for node in ast.walk(tree(source))
        if isinstance(node, ast.Attribute | ast.Name)
        and getattr(node, "attr", getattr(node, "id", "")) in {"create_task", "ensure_future"}
    ]
    assert not makers, f"{source} makes tasks in lines {makers}; worker/tasks.py does that"


def test_every_room_has_a_folder_of_tests():
    rooms = {room_of(source) for source in SOURCES if "/" in source}
    assert [room for room in sorted(rooms) if not list((TESTS / room).glob("**/test_*.py"))] == []


def test_every_source_file_has_its_test_file():
    untested = [
        source
        for source in SOURCES
        if has_code_to_test(source)
        and source not in EXERCISED_BY
        and not mirror_of(source).exists()
    ]
    assert untested == []


@pytest.mark.parametrize("source", sorted(EXERCISED_BY))
def test_no_exception_outlives_its_reason(source):
    assert has_code_to_test(source)
    assert not mirror_of(source).exists(), "has a mirror test file now: no exception"
    assert (TESTS / EXERCISED_BY[source]).exists()
