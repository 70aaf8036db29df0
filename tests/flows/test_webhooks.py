"""A webhook from nothing to a run: the very lines of docs/webhooks.md, pasted into a shell."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.live import Live

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"


def pasted(number: int, **variables: str) -> Any:
    """What the shell example of that number answers."""
    example = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[number]
    said = subprocess.run(
        ["bash", "-euc", example],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(said.stdout)


def test_the_lines_of_the_document_make_a_trigger_and_start_a_run(live: Live) -> None:
    made = pasted(0, HEADWAY_URL=live.url, HEADWAY_API_KEY=live.key, JOB="noop")
    variables = {"ADDRESS": made["address"], "SECRET": made["secret"]}
    taken = pasted(1, **variables)
    ended = live.ended(live.run(taken["runs"][0]["run"]))
    assert (ended["status"], ended["trigger"], ended["trigger_id"]) == ("succeeded", "event", made["id"])
    assert pasted(1, **variables) == taken
    assert (live.home / "vault_key").stat().st_mode & 0o777 == 0o600
