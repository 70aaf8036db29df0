"""What the suite's tests share, the option that makes one of them fail, and the result of it all."""

import json
import time

import pytest

from demo.suite.cart import Cart

# A real suite talks to a browser or a service; so much slower is this one made, to be watched while it runs.
SECONDS = 0.3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fail", choices=("true", "false"), default="false", help="make one test fail")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Prints the counts as the last line, in JSON: Headway takes them as the run's result."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(reporter, pytest.TerminalReporter):
        counts = {
            word: len(reporter.stats.get(word, ())) for word in ("passed", "failed", "error", "skipped")
        }
        reporter.write_line(json.dumps(counts))


@pytest.fixture(autouse=True)
def unhurried() -> None:
    time.sleep(SECONDS)


@pytest.fixture
def cart() -> Cart:
    return Cart(prices={"pencil": 120, "notebook": 450, "backpack": 5900})


@pytest.fixture
def must_fail(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--fail") == "true")
