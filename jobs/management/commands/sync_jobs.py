"""`manage.py sync_jobs`: brings the jobs that code declares into the table; see `jobs.sync`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs import registry, sync
from jobs.models import Job
from jobs.sync import Difference, Report

TEXT_LENGTH = 60


class Command(BaseCommand):
    help = "Makes or updates the jobs that code declares; what operators changed stays, and is listed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="change nothing; list where the table differs from the code, and exit with 1 if it does",
        )

    def handle(self, *args: Any, check: bool, verbosity: int, **options: Any) -> None:
        if check:
            self._check()
            return
        report = sync.sync()
        if verbosity:
            self._print(report)

    def _print(self, report: Report) -> None:
        for slug in report.created:
            self._row("created", slug)
        for slug, fields in report.updated.items():
            self._row("updated", slug, ", ".join(fields))
        for slug in report.unchanged:
            self._row("unchanged", slug)
        for slug, found in report.differing.items():
            self._differences(slug, found)
        for slug in report.mended:
            self._row("mended", slug)
        for slug, reason in report.broken.items():
            self._row("broken", slug, reason)
        for module, error in registry.import_errors().items():
            self.stderr.write(f"{module} can't be imported, so none of its jobs is there: {error}")

    def _check(self) -> None:
        """Compares the table with what the code says right now, whatever the last sync saw."""
        rows = Job.objects.in_bulk(field_name="slug")
        wrong = 0
        for slug, definition in sorted(registry.definitions().items()):
            job = rows.get(slug)
            if job is None:
                self._row("missing", slug, "not synced yet")
                wrong += 1
                continue
            job.declared = sync.said_by(definition)
            found = sync.differences(job)
            self._differences(slug, found)
            wrong += bool(found)
        if wrong:
            raise CommandError(f"{wrong} jobs differ from what the code says.", returncode=1)

    def _differences(self, slug: str, found: list[Difference]) -> None:
        for each in found:
            self._row(
                "differs", slug, f"{each.field}: {_text(each.current)}, code says {_text(each.declared)}"
            )

    def _row(self, what: str, slug: str, detail: str = "") -> None:
        self.stdout.write(f"{what:<10} {slug:<30} {detail}".rstrip())


def _text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= TEXT_LENGTH else f"{text[:TEXT_LENGTH]}…"
