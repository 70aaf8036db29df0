"""What an adapter is."""

import sys
from collections.abc import Sequence
from typing import Protocol


class Peer(Protocol):
    """One queue. `prepare` is called once before the workers start, in the process that sends."""

    label: str

    def prepare(self) -> None: ...

    def workers(self) -> Sequence[Sequence[str]]:
        """The commands of its workers."""

    def noop(self) -> None: ...

    def nap(self, seconds: float) -> None: ...

    def probe(self, sent_at: float) -> None: ...

    def finished(self) -> int:
        """How many tasks a page could show as finished."""


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def django_admin(*arguments: str) -> list[str]:
    return python("-m", "django", *arguments)


def migrate() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
