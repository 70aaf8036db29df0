"""`manage.py prove_priority`: shows on the running site that bulk runs don't delay triggers; see `runs.proving`."""

import json
import math
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.models import Job
from jobs.parameters import InvalidParameters
from runs import proving
from runs.launch import LaunchRefused
from runs.proving import Plan, Proof


class Command(BaseCommand):
    help = "Queues bulk runs and then trigger runs, and says how long the triggers waited; 1 if behind bulk."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bulk", type=int, default=1000, help="how many bulk runs (default: 1000)")
        parser.add_argument("--triggers", type=int, default=10, help="how many trigger runs (default: 10)")
        parser.add_argument("--job", default="noop", help="the slug of the job to run (default: noop)")
        parser.add_argument("--parameters", default="{}", help="its parameters, as JSON (default: {})")
        parser.add_argument(
            "--limit", type=float, default=250, help="milliseconds that a trigger may wait (default: 250)"
        )
        parser.add_argument(
            "--patience", type=float, default=300, help="seconds to wait for all runs (default: 300)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        plan = _plan(options)
        try:
            proof = proving.prove(plan)
        except (LaunchRefused, InvalidParameters) as error:
            raise CommandError(str(error)) from None
        self._print(plan, proof)
        if not proof.holds:
            raise SystemExit(1)

    def _print(self, plan: Plan, proof: Proof) -> None:
        rate = f"{proof.bulk_per_second:,.0f} a second" if proof.bulk_per_second else "no rate"
        self.stdout.write(
            f"bulk      {proof.bulk_ended} of {plan.bulk} runs of {plan.job.slug} ended, {rate}"
        )
        if waits := proof.waits:
            told = f"p50 {_ms(waits.p50)}, p95 {_ms(waits.p95)}, max {_ms(waits.most)}"
            self.stdout.write(
                f"triggers  {proof.beside} of {plan.triggers} runs were queued beside bulk runs"
            )
            self.stdout.write(f"          from queued to started: {told}")
        self.stdout.write(proof.verdict)


def _plan(options: dict[str, Any]) -> Plan:
    for name in ("bulk", "triggers"):
        if options[name] < 1:
            raise CommandError(f"--{name} is {options[name]}; expected 1 or more.")
    for name in ("limit", "patience"):
        if not 0 < options[name] < math.inf:
            raise CommandError(f"--{name} is {options[name]:g}; expected a number above 0.")
    job = Job.objects.filter(slug=options["job"]).first()
    if job is None:
        raise CommandError(f"--job is {options['job']!r}; expected the slug of a job of this site.")
    try:
        parameters = json.loads(options["parameters"])
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise CommandError(f"--parameters is {options['parameters']!r}; expected a JSON object.")
    return Plan(
        job=job,
        parameters=parameters,
        bulk=options["bulk"],
        triggers=options["triggers"],
        limit_seconds=options["limit"] / 1000,
        patience_seconds=options["patience"],
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
