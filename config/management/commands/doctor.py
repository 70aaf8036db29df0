"""`manage.py doctor` says in sentences what `/readyz` says in JSON, and what to do about it."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import health


class Command(BaseCommand):
    help = "Say whether the site can do its work, and what to do if it can't; exit code 1 if it can't."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("check", nargs="*", help="look at these only: worker:high, beat …")

    def handle(self, *args: Any, **options: Any) -> None:
        checks = health.look()
        wanted = set(options["check"] or [check.name for check in checks])
        unknown = wanted - {check.name for check in checks}
        if unknown:
            names = ", ".join(check.name for check in checks)
            raise CommandError(f"There is no check {', '.join(sorted(unknown))}; expected some of {names}.")
        self._tell([check for check in checks if check.name in wanted])

    def _tell(self, checks: list[health.Check]) -> None:
        for check in checks:
            mark = self.style.SUCCESS("ok    ") if check.ok else self.style.ERROR("not ok")
            self.stdout.write(f"{mark}  {check.name}: {check.detail}")
            if not check.ok and check.remedy:
                self.stdout.write(f"        {check.remedy}")
        if not all(check.ok for check in checks):
            sys.exit(1)
        self.stdout.write("All is well.")
