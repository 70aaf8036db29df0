"""The campaign object of the API: what was ordered, how far it is, and who holds it."""

from collections.abc import Sequence
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from jobs import parameters, wire
from jobs.fields import Instant, Text, Value
from runs import progress
from runs.models import Campaign, CampaignStatus
from triggers.keys import PREFIX as KEY_PREFIX
from triggers.visibility import visible

RELATED: Final = ("job", "api_key", "created_by")
ACTS: Final = (
    *("runs", "errors", "events", "report", "failures"),
    *("pause", "resume", "cancel", "retry-failed", "duplicate"),
)
_SUM: Final = {"type": "object", "properties": {"sum": {"type": "number"}, "runs": wire.WHOLE}}
_SUMS: Final = {"type": "object", "additionalProperties": _SUM}
_WINDOW: Final = {
    "type": ["object", "null"],
    "properties": {"from": wire.TEXT, "to": wire.TEXT, "timezone": wire.TEXT},
}
_LINKS: Final = {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}}


class CampaignSerializer(serializers.Serializer[Campaign]):
    """One order to run a job for many recipients. Numbers are of runs, rates of runs a second."""

    id = Value(wire.WHOLE)
    name = Value(wire.TEXT)
    job = Value(wire.SLUG, source="job.slug")
    job_name = Value(wire.TEXT, source="job.name")
    status = Value({"type": "string", "enum": CampaignStatus.values})
    cause = Value(wire.TEXT)
    created_by = Value(wire.TEXT_OR_NULL, source="created_by.username")
    api_key = serializers.SerializerMethodField()
    parameters = serializers.SerializerMethodField()

    total = Value(wire.WHOLE, source="seen.runs")
    not_launched = Value(wire.WHOLE, source="seen.not_launched")
    queued = Value(wire.WHOLE, source="seen.queued")
    running = Value(wire.WHOLE, source="seen.running")
    succeeded = Value(wire.WHOLE, source="seen.succeeded")
    failed = Value(wire.WHOLE, source="seen.failed")
    cancelled = Value(wire.WHOLE, source="seen.cancelled")
    skipped = Value(wire.WHOLE, source="seen.skipped")
    success_rate = Value(wire.NUMBER_OR_NULL, source="seen.success_rate")
    rate = Value({"type": "number"}, source="seen.rate")
    eta = Instant(source="seen.eta")
    eta_assumption = Text(source="seen.assumption")

    recipients = Value(wire.WHOLE, source="total")
    invalid = Value(wire.WHOLE)
    duplicates = Value(wire.WHOLE)
    retried = Value(wire.WHOLE)
    rate_per_second = Value(wire.NUMBER_OR_NULL)
    stop_on_failure_rate = Value(wire.NUMBER_OR_NULL)
    canary = Value(wire.WHOLE_OR_NULL)
    window = serializers.SerializerMethodField()
    start_at = Instant()
    paused_by = Text()
    paused_reason = Text()
    cancelled_by = Text()
    created_at = Instant(wire.INSTANT)
    started_at = Instant()
    finished_at = Instant()
    links = serializers.SerializerMethodField()

    @extend_schema_field(dict(wire.TEXT_OR_NULL))
    def get_api_key(self, campaign: Campaign) -> str | None:
        return f"{KEY_PREFIX}_{campaign.api_key.public_id}" if campaign.api_key else None

    @extend_schema_field(dict(wire.OBJECT))
    def get_parameters(self, campaign: Campaign) -> dict[str, Any]:
        """What all recipients share; what the job's schema calls a secret is masked."""
        return parameters.mask(campaign.job.schema, campaign.parameters)

    @extend_schema_field(_WINDOW)
    def get_window(self, campaign: Campaign) -> dict[str, str] | None:
        begin, end = campaign.window_from, campaign.window_to
        if begin is None or end is None:
            return None
        return {"from": f"{begin:%H:%M}", "to": f"{end:%H:%M}", "timezone": campaign.window_zone}

    @extend_schema_field(_LINKS)
    def get_links(self, campaign: Campaign) -> dict[str, str]:
        """Where the campaign itself, its parts, its acts and its page are."""
        site: str = self.context["site"]
        own = f"{site}/api/campaigns/{campaign.pk}"
        return {
            "self": own,
            **{name: f"{own}/{name}" for name in ACTS},
            "job": f"{site}/api/jobs/{campaign.job.slug}",
            "page": f"{site}/campaigns/{campaign.pk}/",
        }


class CampaignDetailSerializer(CampaignSerializer):
    """A campaign with what the numeric fields of its results add up to."""

    sums = serializers.SerializerMethodField()

    @extend_schema_field(_SUMS)
    def get_sums(self, campaign: Campaign) -> dict[str, dict[str, float]]:
        return {one.field: {"sum": one.sum, "runs": one.runs} for one in progress.sums(campaign)}


class ErrorGroupSerializer(serializers.Serializer[Any]):
    """Failures that are alike; `sample` is the newest run of them."""

    fingerprint = Value(wire.TEXT)
    type = Value(wire.TEXT)
    message = Value(wire.TEXT)
    count = Value(wire.WHOLE)
    sample = Value(wire.WHOLE)
    last_at = Instant()


class ErrorGroupsSerializer(serializers.Serializer[Any]):
    """The groups among the newest failures."""

    results = ErrorGroupSerializer(many=True, read_only=True)
    looked_at = Value(
        {**wire.WHOLE, "description": "How many of the newest failures were looked at, at most."}
    )


def find_campaign(request: Request, number: int) -> Campaign:
    """The campaign of that id; raises NotFound, as well if the key may not see its job."""
    known = Campaign.objects.select_related(*RELATED)
    found = visible(known, auth=request.auth, lookup="job").filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no campaign {number}.")
    return found


def campaign_object(campaign: Campaign, request: Request) -> dict[str, Any]:
    """One campaign with its numbers."""
    return dict(CampaignDetailSerializer(_seen([campaign])[0], context={"site": site(request)}).data)


def campaign_objects(found: Sequence[Campaign], request: Request) -> list[dict[str, Any]]:
    """Several campaigns; the number of queries does not grow with them."""
    context = {"site": site(request)}
    return list(CampaignSerializer(_seen(found), many=True, context=context).data)  # type: ignore[arg-type]


def site(request: Request) -> str:
    """The site's address, without a last slash."""
    return request.build_absolute_uri("/").rstrip("/")


def _seen(found: Sequence[Campaign]) -> Sequence[Campaign]:
    """The campaigns, each with its numbers as `seen`, which its serializer reads."""
    numbers = progress.of_campaigns(found) if found else {}
    for campaign in found:
        campaign.seen = numbers[campaign.pk]  # type: ignore[attr-defined]
    return found
