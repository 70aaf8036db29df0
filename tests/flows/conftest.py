"""What the stories share: the running product, asked for as `live` (tests/live.py)."""

from collections.abc import Iterator

import pytest

from tests.live import Live


@pytest.fixture(autouse=True)
def told_what_it_said(request: pytest.FixtureRequest, live: Live) -> Iterator[None]:
    """Adds what the site said meanwhile to the report of a test that fails."""
    begin = live.log.stat().st_size
    yield
    with live.log.open(errors="replace") as log:
        log.seek(begin)
        request.node.add_report_section("call", "site", log.read()[-8_000:])
