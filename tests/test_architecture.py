"""What must stay true of the whole tree: one writer of statuses, one creator of runs, one door to the broker."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ("config", "jobs", "triggers", "notifications", "runs", "demo")


def modules() -> Iterator[Path]:
    for app in APPS:
        yield from (path for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts)


def names_of_modules_that(finds: str) -> set[str]:
    """The modules whose text has `finds`."""
    return {path.relative_to(ROOT).as_posix() for path in modules() if finds in path.read_text()}


def calls(path: Path) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def test_only_lifecycle_writes_the_status_of_a_run() -> None:
    writers = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if "UPDATE runs_run r SET status" in " ".join(path.read_text().split())
    }
    assert writers == {"runs/lifecycle.py"}
    for path in modules():
        for call in calls(path):
            is_update = isinstance(call.func, ast.Attribute) and call.func.attr in {"update", "bulk_update"}
            of_runs = "Run.objects" in ast.unparse(call.func)
            assert not (is_update and of_runs and any(k.arg == "status" for k in call.keywords)), path


def test_only_launch_creates_runs() -> None:
    creators = set()
    for path in modules():
        for call in calls(path):
            name = ast.unparse(call.func)
            if name in {"Run", "Run.objects.create", "Run.objects.bulk_create", "Run.objects.get_or_create"}:
                creators.add(path.relative_to(ROOT).as_posix())
    assert creators == {"runs/launch.py"}


def test_only_dispatch_talks_to_the_broker() -> None:
    assert names_of_modules_that("send_task(") == {"runs/dispatch.py"}
    assert names_of_modules_that("apply_async(") == set()
    assert not any(".delay(" in path.read_text() for path in modules())


@pytest.mark.parametrize("word", ["utils", "helpers", "services", "common", "manager"])
def test_modules_are_named_by_what_they_decide(word: str) -> None:
    assert not [path for path in modules() if word in path.stem.split("_")]
