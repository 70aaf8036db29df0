"""`manage.py up` starts the whole site; `manage.py` hands it over before any settings are read."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config import devserver


class Command(BaseCommand):
    help = "Start the whole site on this machine: PostgreSQL, Valkey, web, workers and beat."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        devserver.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(devserver.main(["--reset"] if options["reset"] else []))
