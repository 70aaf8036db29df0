"""Ordering campaigns, and listing them: recipients are read from the request as they come."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.http import parse_header_parameters
from django_filters import CharFilter, FilterSet
from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions, generics
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import described
from jobs.expectations import shown
from jobs.faults import Fault
from jobs.models import Job
from jobs.wire import InvalidBody, InvalidQuery
from runs import ordering, orders, streams, tending
from runs.api.campaign_objects import (
    RELATED,
    CampaignDetailSerializer,
    CampaignSerializer,
    campaign_object,
    campaign_objects,
    site,
)
from runs.api.finding import caller, find_job, visible_lists
from runs.api.launching import credential, idempotency_key
from runs.models import Campaign, CampaignStatus, Recipient
from runs.ordering import Sent
from runs.orders import InvalidRecipients, Once
from runs.streams import Source, TooLarge
from triggers.models import Scope

FORMATS: Final[Mapping[str, str]] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
}
FAULTS_SHOWN: Final = 20


class BodyTooLarge(exceptions.APIException):
    """More recipients than a campaign's body may have."""

    status_code = 413
    default_code = "body_too_large"


def _filter(schema: wire.Schema, method: str, label: str) -> CharFilter:
    # A class of its own: the description of a filter is kept on its class.
    kind = extend_schema_field({**schema, "description": label})(
        type("CampaignCharFilter", (CharFilter,), {})
    )
    made: CharFilter = kind(method=method, label=label)
    return made


class CampaignFilter(FilterSet):
    """The filters of `GET /api/campaigns`."""

    status = _filter({"type": "string", "enum": CampaignStatus.values}, "by_status", "Where it stands.")
    job = _filter(wire.SLUG, "by_job", "The job's slug.")

    class Meta:
        model = Campaign
        fields: list[str] = []

    def by_status(self, found: QuerySet[Campaign], name: str, value: str) -> QuerySet[Campaign]:
        if value not in CampaignStatus.values:
            expected = ", ".join(CampaignStatus.values)
            raise _bad_query(name, f"{shown(value)} is no status of a campaign; expected one of {expected}.")
        return found.filter(status=value)

    def by_job(self, found: QuerySet[Campaign], name: str, value: str) -> QuerySet[Campaign]:
        if not Job.objects.filter(slug=value).exists():
            raise _bad_query(name, f"There is no job {shown(value)}.")
        return found.filter(job__slug=value)


class CampaignListView(generics.ListAPIView[Campaign]):
    """List campaigns, or order one."""

    required_scope: ClassVar = {
        "GET": Scope.READ,
        "HEAD": Scope.READ,
        "OPTIONS": Scope.READ,
        "POST": Scope.RUN,
    }
    serializer_class = CampaignSerializer
    queryset = Campaign.objects.select_related(*RELATED)
    filterset_class = CampaignFilter
    job_lookup: ClassVar = "job"

    def list(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List campaigns, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(campaign_objects(page or [], request))

    @described(body=ordering.OPTIONS, answers={200: CampaignDetailSerializer, 202: CampaignDetailSerializer})
    def post(self, request: Request) -> Response:
        """Order a campaign: run a job for many recipients, at bulk priority.

        The body is JSON; or CSV or NDJSON with the options in the query; or a form with the options as fields and
        a `file`. It starts at once unless it is a draft or for later. If a recipient is invalid, nothing starts and
        the answer, a 422, has the address of a report.
        """
        source = source_of(request)
        try:
            sent, job = _sent(request, source)
            wanted = ordering.order_of(sent.options, job=job, **caller(request))
            ordered = orders.order(wanted, sent.lines, once=_once(request, source))
        except TooLarge as error:
            raise BodyTooLarge(str(error)) from None
        except InvalidRecipients as error:
            raise _with_report(error, request) from None
        if not ordered.replayed:
            tending.at_once(ordered.campaign)
        body = campaign_object(ordered.campaign, request)
        headers = {"Location": body["links"]["self"]}
        if ordered.replayed:
            headers["Idempotent-Replayed"] = "true"
        return Response(body, status=200 if ordered.replayed else 202, headers=headers)


def source_of(request: Request) -> Source:
    """The request's body, to be read as it comes; raises BodyTooLarge and LengthRequired."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    limit = settings.CAMPAIGN_BODY_LIMIT
    if request.META.get("HTTP_TRANSFER_ENCODING") and announced == "0":
        raise wire.LengthRequired
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge(f"The body is larger than {limit} bytes.")
    return Source(_raw(request), limit=limit, announced=int(announced) if announced.isdigit() else 0)


def kind_of(request: Request) -> str:
    """What the body is declared to be, without its parameters."""
    return (request.content_type or "").partition(";")[0].strip().lower()


def file_texts(request: Request) -> dict[str, str]:
    """The options in the query of a CSV or NDJSON; its encoding may be said with what it is (RFC 7111)."""
    declared = parse_header_parameters(request.content_type)[1].get("charset", "")
    return {"encoding": declared, **request.query_params.dict(), "format": FORMATS[kind_of(request)]}


def _raw(request: Request) -> HttpRequest:
    """The request below the framework's, whose stream nobody has read."""
    raw: HttpRequest = request._request
    return raw


def _sent(request: Request, source: Source) -> tuple[Sent, Job]:
    """What was sent, in whichever form, and the job that it names."""
    kind = kind_of(request)
    if kind == "application/json":
        size = int(request.META.get("CONTENT_LENGTH") or 0)
        sent = ordering.of_json(source, size=size, whole_below=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        job = find_job(request, sent.options["job"])
        return Sent(
            sent.options, ordering.listed(sent.options, sent.lines, job=job, known=visible_lists(request))
        ), job
    if kind in FORMATS:
        options = ordering.from_texts(file_texts(request))
    elif kind == "multipart/form-data":
        options = _form(_raw(request), source)
    else:
        expected = "application/json, text/csv, application/x-ndjson or multipart/form-data"
        raise exceptions.UnsupportedMediaType(kind, detail=f"The body is {shown(kind)}; expected {expected}.")
    job = find_job(request, options["job"])
    return ordering.of_file(source, options, schema=job.schema), job


def _form(raw: HttpRequest, source: Source) -> dict[str, Any]:
    """The options of a form; from now on `source` reads its file."""
    uploaded = raw.FILES.get("file")
    if uploaded is None:
        detail = "There is no file; expected one in the field 'file'."
        raise InvalidBody([Fault(pointer="/file", code="required", detail=detail)])
    source.become(uploaded)
    texts = {name: str(text) for name, text in raw.POST.items() if name != "csrfmiddlewaretoken"}
    return ordering.from_texts({"format": ordering.format_of(str(uploaded.name)), **texts})


def _once(request: Request, source: Source) -> Once | None:
    key = idempotency_key(request)
    if key is None:
        return None
    # The options of a file stand in the address, or in a form, whose file is what is read.
    options = repr(sorted(_raw(request).POST.items()))
    address = request.get_full_path()
    return Once(
        credential=credential(request),
        key=key,
        digest=lambda: streams.digest(address, options, source.digest()),
    )


def _with_report(error: InvalidRecipients, request: Request) -> InvalidRecipients:
    """The error with the address of its report, and the first of what it reports."""
    campaign = error.campaign
    faulty = Recipient.objects.filter(campaign=campaign, fault__isnull=False).order_by("run_id")
    faults = [
        {"in": "body", "line": line, "key": key, **fault}
        for line, key, found in faulty.values_list("line", "key", "fault")[:FAULTS_SHOWN]
        for fault in found or ()
    ]
    own = f"{site(request)}/api/campaigns/{campaign.pk}"
    error.extra |= {"campaign": campaign.pk, "report": f"{own}/report", "errors": faults[:FAULTS_SHOWN]}
    error.extra |= {"valid": campaign.total, "invalid": campaign.invalid}
    return error


def _bad_query(name: str, detail: str) -> InvalidQuery:
    return InvalidQuery([Fault(pointer=f"/{name}", code="value", detail=detail)])
