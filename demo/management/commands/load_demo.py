"""`manage.py load_demo`: puts the demo's content into the site; see `demo.content`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from demo import content


class Command(BaseCommand):
    help = "Loads the demo's jobs and schedules into an empty site, and launches two first runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--force", action="store_true", help="add what is missing to a used site as well")

    def handle(self, *args: Any, force: bool, verbosity: int, **options: Any) -> None:
        wanted = force or content.is_empty()
        if wanted:
            content.load()
        if verbosity:
            kept = "This site is in use, so it was left as it is; --force adds the demo all the same."
            self.stdout.write("The demo is loaded." if wanted else kept)
