"""How triggers were used lately: by kind, by trigger and by the hour of the week, from the hourly tallies."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.faults import Fault
from jobs.fields import Instant, Value
from jobs.models import Job
from jobs.wire import InvalidQuery
from runs import analytics
from runs.analytics import WEEKDAYS, TriggerUse
from runs.api.finding import find_job
from runs.models import TriggerKind
from runs.stats import SPREAD, Ended
from runs.status import FINAL
from triggers import cron
from triggers.models import ApiKey, Trigger
from triggers.visibility import visible_jobs

MOST: Final = 200
LONGEST: Final = 90
_KIND: Final = {"type": "string", "enum": TriggerKind.values}


class EndedSerializer(serializers.Serializer[Any]):
    """Runs that ended in the stretch; waits and durations are those of the runs that had started."""

    runs = Value(wire.WHOLE)
    succeeded = Value(wire.WHOLE)
    failed = Value(wire.WHOLE)
    cancelled = Value(wire.WHOLE)
    skipped = Value(wire.WHOLE)
    success_rate = Value(wire.NUMBER_OR_NULL)
    average_wait_seconds = Value(wire.NUMBER_OR_NULL)
    average_duration_seconds = Value(wire.NUMBER_OR_NULL)
    wait_p50_seconds = Value(wire.NUMBER_OR_NULL)
    wait_p95_seconds = Value(wire.NUMBER_OR_NULL)
    duration_p50_seconds = Value(wire.NUMBER_OR_NULL)
    duration_p95_seconds = Value(wire.NUMBER_OR_NULL)


class KindUseSerializer(EndedSerializer):
    """The use of one trigger kind."""

    kind = Value(_KIND)


class TriggerUseSerializer(EndedSerializer):
    """The use of one trigger; without one, of what people or campaigns started of a job."""

    trigger_id = Value(wire.WHOLE_OR_NULL)
    trigger_name = Value(wire.TEXT_OR_NULL)
    job = Value(wire.SLUG)
    kind = Value(_KIND)


class TimingSerializer(serializers.Serializer[Any]):
    """What ended in one hour of one day of the week."""

    weekday = Value({"type": "string", "enum": list(WEEKDAYS)})
    hour = Value({"type": "integer", "minimum": 0, "maximum": 23})
    runs = Value(wire.WHOLE)
    failed = Value(wire.WHOLE)


class TriggerStatsSerializer(serializers.Serializer[Any]):
    """How triggers were used from `since` to `until`; hours of the week are those of `timezone`."""

    since = Instant(wire.INSTANT)
    until = Instant(wire.INSTANT)
    timezone = Value(wire.TEXT)
    total = EndedSerializer(read_only=True)
    kinds = KindUseSerializer(many=True, read_only=True)
    triggers = TriggerUseSerializer(many=True, read_only=True)
    timing = TimingSerializer(many=True, read_only=True)


class TriggerStatsView(Endpoint):
    """Read how triggers were used."""

    query_schema: ClassVar = {
        "type": "object",
        "properties": {
            "days": {
                "type": "integer",
                "minimum": 1,
                "maximum": LONGEST,
                "default": analytics.DAYS,
                "description": "How many days up to now.",
            },
            "job": {"type": "string", "maxLength": 80, "description": "Only this job's, by its slug."},
            "timezone": {
                "type": "string",
                "default": "UTC",
                "description": "Whose hours `timing` is told in, such as Europe/Berlin.",
            },
        },
        "additionalProperties": False,
    }
    answers: ClassVar = {200: TriggerStatsSerializer}

    def get(self, request: Request) -> Response:
        """Read how triggers were used in the last days: how often, with what success, and when in the week."""
        try:
            zone = cron.validate_zone(self.asked["timezone"])
        except cron.InvalidZone as error:
            raise InvalidQuery([Fault(pointer="/timezone", code="timezone", detail=str(error))]) from None
        stretch = analytics.last_days(timezone.now(), self.asked["days"], jobs=self._jobs(request))
        used = analytics.use(stretch)
        week = used.by_weekday(zone)
        told = {
            "since": stretch.since,
            "until": stretch.until,
            "timezone": str(zone),
            "total": _told(used.total),
            "kinds": [_told(ended, kind=kind) for kind, ended in used.kinds.items()],
            "triggers": _named(analytics.triggers(stretch, limit=MOST)),
            "timing": [
                {"weekday": WEEKDAYS[day], "hour": hour, "runs": ended.runs, "failed": ended.failed}
                for day, hours in enumerate(week)
                for hour, ended in enumerate(hours)
                if ended.runs
            ],
        }
        return Response(TriggerStatsSerializer(told).data)

    def _jobs(self, request: Request) -> list[int] | None:
        """The jobs that are asked for and may be seen; None: all."""
        if "job" in self.asked:
            return [find_job(request, self.asked["job"]).pk]
        if isinstance(request.auth, ApiKey) and request.auth.allowed_jobs() is not None:
            return list(visible_jobs(request.auth).values_list("pk", flat=True))
        return None


def _told(ended: Ended, **names: Any) -> dict[str, Any]:
    """The numbers of some ended runs, and what they are of."""
    rates = ("success_rate", "average_wait_seconds", "average_duration_seconds", *SPREAD)
    return {
        **names,
        "runs": ended.runs,
        **{status.value: ended.counts.get(status.value, 0) for status in FINAL},
        **{name: getattr(ended, name) for name in rates},
    }


def _named(uses: Sequence[TriggerUse]) -> list[dict[str, Any]]:
    """Each use with the names of its trigger and job; what was deleted meanwhile is left out."""
    slugs = dict(Job.objects.filter(pk__in={use.job_id for use in uses}).values_list("pk", "slug"))
    triggers = Trigger.objects.in_bulk([use.trigger_id for use in uses if use.trigger_id])
    return [
        _told(
            use.ended,
            trigger_id=use.trigger_id,
            trigger_name=triggers[use.trigger_id].label if use.trigger_id in triggers else None,
            job=slugs[use.job_id],
            kind=use.kind,
        )
        for use in uses
        if use.job_id in slugs
    ]
