"""`manage.py prune`: deletes at once what retention would delete in the next minutes; see `runs.retention`."""

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand

from jobs.models import Job
from runs import retention, sweep
from runs.retention import Place


class Command(BaseCommand):
    help = "Deletes ended runs that were kept long enough, with all their rows. The sweep does so by itself, too."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be deleted, delete nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        is_dry = options["dry_run"]
        now = sweep.database_now()
        pruned: Counter[int] = Counter()
        for portion in retention.portions(now, begin=Place(), is_dry=is_dry):
            pruned[portion.job] += portion.pruned
        slugs = dict(Job.objects.filter(pk__in=pruned).values_list("pk", "slug"))
        for job, runs in pruned.items():
            if runs:
                self.stdout.write(f"{runs:>8}  {slugs.get(job, 'with a time of their own, of any job')}")
        while not is_dry and retention.prune_statistics(now):
            pass
        verb = "would be deleted" if is_dry else "deleted"
        self.stdout.write(f"{pruned.total():>8}  runs {verb} in all")
