"""`manage.py doctor` says in sentences what `/readyz` says in JSON, and what to do about it."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from config import health


class Command(BaseCommand):
    help = "Say whether the site can do its work, and what to do if it can't; exit code 1 if it can't."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        checks = health.look()
        for check in checks:
            mark = self.style.SUCCESS("ok    ") if check.ok else self.style.ERROR("not ok")
            self.stdout.write(f"{mark}  {check.name}: {check.detail}")
            if not check.ok and check.remedy:
                self.stdout.write(f"        {check.remedy}")
        if not all(check.ok for check in checks):
            sys.exit(1)
        self.stdout.write("Headway is ready.")
