"""`manage.py poll_sources`: looks at the sources that are due, for ever or once; see `runs.polling`."""

import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runs import polling
from runs.poller import Poller
from triggers.models import Source


class Command(BaseCommand):
    help = (
        "Poll folders, buckets, tables and queues for events. Several may run: each source is polled by one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--threads", type=int, default=4, help="how many sources at a time (default: 4)")
        parser.add_argument(
            "--once", action="store_true", help="poll what is due, say what came of it, and end"
        )
        parser.add_argument("--source", help="with --once: poll only the source of this name, due or not")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["threads"] <= 100:
            raise CommandError(f"--threads is {options['threads']}; expected 1 to 100.")
        if options["source"] and not options["once"]:
            raise CommandError("--source is for --once.")
        if options["once"]:
            self._once(options["source"])
            return
        poller = Poller(threads=options["threads"])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: poller.stop())
        poller.run()

    def _once(self, name: str | None) -> None:
        only = None if name is None else self._hurried(name)
        failed, done = False, set[int]()
        while (source := polling.claim(busy=done, only=only)) is not None:
            came = polling.poll(source)
            if came.error or not came.more:
                done.add(source.pk)
            failed = failed or bool(came.error)
            self.stdout.write(f"{source.name}: {came.error or f'{came.found} new'}")
        if failed:
            sys.exit(1)

    @staticmethod
    def _hurried(name: str) -> int:
        source = Source.objects.filter(name=name).first()
        if source is None:
            known = ", ".join(Source.objects.values_list("name", flat=True)[:20]) or "none"
            raise CommandError(f"There is no source {name!r}; there are: {known}.")
        polling.hurry(source)
        return source.pk
