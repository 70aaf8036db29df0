"""`manage.py import_jobs FILE`: takes over jobs and runs of an older system; see docs/importing.md."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.models import Job
from runs.importing import documents, storing
from runs.importing.plan import Plan, plan
from triggers import cron

FAULTS_SHOWN = 50


class Command(BaseCommand):
    help = (
        "Imports job definitions and runs of an older system from a JSON or YAML file; all of it, or nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="a .json, .yaml or .yml file")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be imported; store nothing"
        )
        parser.add_argument("--timezone", default="UTC", help="of schedules that name none (default: UTC)")
        parser.add_argument("--job", help="the slug of the job that runs without any job go to")

    def handle(
        self, *args: Any, file: Path, dry_run: bool, timezone: str, job: str | None, **options: Any
    ) -> None:
        made = self._plan(file, timezone=timezone, job=job)
        for note in made.notes:
            self.stdout.write(note)
        if dry_run:
            new = len(made.runs) - len(storing.known(run.name for run, _ in made.runs))
            self._say("would be imported", len(made.jobs), len(made.schedules), new, made)
            return
        stored = storing.store(jobs=made.jobs.values(), schedules=made.schedules.values(), runs=made.runs)
        self._say("imported", stored.jobs, stored.schedules, stored.runs, made)

    def _plan(self, file: Path, *, timezone: str, job: str | None) -> Plan:
        if job is not None and not Job.objects.filter(slug=job).exists():
            raise CommandError(f"--job is {job!r}; expected the slug of a job of this site.")
        try:
            cron.validate_zone(timezone)
            made = plan(documents.read(file), timezone=timezone, job=job)
        except (cron.InvalidZone, documents.Unreadable) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{file} can't be read: {error.strerror}.") from None
        if made.faults:
            raise CommandError(_faults_of(made))
        return made

    def _say(self, what: str, jobs: int, schedules: int, runs: int, made: Plan) -> None:
        known = len(made.runs) - runs
        self.stdout.write(
            f"{jobs} jobs, {schedules} schedules and {runs} runs {what}; "
            f"{len(made.kept)} jobs and {known} runs were here already."
        )


def _faults_of(made: Plan) -> str:
    lines = [f"{fault.pointer or '/'}: {fault.detail}" for fault in made.faults[:FAULTS_SHOWN]]
    more = len(made.faults) - len(lines)
    more_line = [f"… and {more} more."] if more else []
    return "\n".join(["Nothing was imported, because of this:", *lines, *more_line])
