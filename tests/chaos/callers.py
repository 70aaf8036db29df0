"""A program that launches runs over HTTP, one every so often, whatever happens to the site meanwhile."""

import threading
import time
import uuid
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from runs.models import Run
from tests.chaos.ledger.jobs import SLUG

TIMEOUT: Final = 30.0
INSIST_SECONDS: Final = 60.0


@dataclass(kw_only=True)
class Answers:
    """What a caller was told. `runs` are those that were accepted."""

    seconds: list[float] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    repeats: int = 0


class Caller(Answers):
    """A thread that launches the suite's job while the `with` block lasts, every so many seconds.

    One that `insists` sends what was not accepted again, with the same Idempotency-Key, until it is.
    """

    def __init__(self, url: str, key: str, *, every: float, insists: bool = False) -> None:
        super().__init__()
        self._every, self._insists = every, insists
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx2.Client(base_url=f"{url}/api/", headers=headers, timeout=TIMEOUT)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._call_for_ever, name="caller", daemon=True)
        self.keys: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def doubled(self) -> list[str]:
        """What is wrong if more runs came of the calls than there were keys."""
        made = Run.objects.filter(pk__in=self.runs).count()
        return [f"{made} runs of {len(self.keys)} idempotency keys"] if made != len(self.keys) else []

    def _call_for_ever(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            self.keys.append(uuid.uuid4().hex)
            self._launch(self.keys[-1])
            # By the clock and not by the answer: a caller does not wait for a site that is slow.
            due = max(due + self._every, time.monotonic())
            self._over.wait(due - time.monotonic())

    def _launch(self, key: str) -> None:
        began = time.monotonic()
        until = began + INSIST_SECONDS
        while True:
            told = self._ask(key)
            if isinstance(told, int):
                self.seconds.append(time.monotonic() - began)
                self.runs.append(told)
                return
            if not self._insists or time.monotonic() > until:
                self.refused.append(told)
                return
            self.repeats += 1
            time.sleep(0.2)

    def _ask(self, key: str) -> int | str:
        """The id of the run that was accepted, or what else was answered."""
        body: dict[str, Any] = {"parameters": {}}
        try:
            answer = self._client.post(f"jobs/{SLUG}/trigger", json=body, headers={"Idempotency-Key": key})
        except httpx2.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        if answer.status_code in {200, 202}:
            return int(answer.json()["id"])
        return f"{answer.status_code} {answer.text[:200]}"
