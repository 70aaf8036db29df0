"""The form that orders a campaign: a job, what all share, who it is for, and how fast it may go."""

import io
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods

from jobs.faults import Fault
from jobs.models import Job
from jobs.wire import InvalidBody, instant_text
from runs import ordering, orders, streams, tending
from runs.launch import LaunchRefused
from runs.models import RecipientList
from runs.orders import InvalidRecipients
from runs.views.access import RUN_JOB, permitted, person, takes_files

JOBS_OFFERED: Final = 500
LISTS_OFFERED: Final = 500
_PASSED_ON: Final = ("job", "name", "parameters", "canary")


@takes_files
@permitted(RUN_JOB)
@require_http_methods(["GET", "POST"])
def order_campaign(request: HttpRequest) -> HttpResponse:
    """The form, and the campaign that it orders; with invalid recipients that is a draft."""
    errors: list[str] = []
    if request.method == "POST":
        try:
            return HttpResponseRedirect(reverse("pages:campaign", args=[_order(request)]))
        except InvalidBody as error:
            errors = [fault.detail for fault in error.errors]
        except (LaunchRefused, streams.TooLarge) as error:
            errors = [str(error)]
    typed = request.POST if request.method == "POST" else request.GET
    jobs = (
        Job.objects.filter(status=Job.Status.ACTIVE)
        .order_by("name")
        .values_list("slug", "name")[:JOBS_OFFERED]
    )
    names = RecipientList.objects.values_list("name", "size")[:LISTS_OFFERED]
    context = {"jobs": jobs, "lists": names, "typed": typed, "errors": errors}
    return render(request, "runs/campaigns/order.html", context, status=422 if errors else 200)


def _order(request: HttpRequest) -> int:
    """Orders what the form says; returns the campaign's id. Raises InvalidBody, LaunchRefused and TooLarge."""
    typed = request.POST
    source, form = sent_by(request, typed.get("recipient_list", ""))
    options = ordering.from_texts(_texts(typed) | form)
    job = Job.objects.filter(slug=options["job"]).first()
    if job is None:
        raise _wrong("/job", f"There is no job {options['job']!r}.")
    options["columns"] = columns(typed.get("columns", ""))
    wanted = ordering.order_of(options, job=job, user=person(request))
    sent = ordering.of_file(source, options, schema=job.schema)
    chosen = {"recipient_list": typed.get("recipient_list") or None}
    lines = ordering.listed(chosen, sent.lines, job=job, known=RecipientList.objects.all())
    try:
        made = orders.order(wanted, lines).campaign
    except InvalidRecipients as error:
        return error.campaign.pk
    tending.at_once(made)
    return made.pk


def _texts(typed: QueryDict) -> dict[str, str]:
    """The form's fields as the options that a program would send, but for how recipients are written."""
    texts = {option: typed.get(option, "").strip() for option in _PASSED_ON}
    texts["draft"] = "true" if "draft" in typed else ""
    texts["start_at"] = _instant(typed.get("start_at", "").strip())
    return texts | limits(typed)


def sent_by(request: HttpRequest, *others: str) -> tuple[streams.Source, dict[str, str]]:
    """The recipients of a form, a file or what was pasted, and the options that say how they are written.

    Raises InvalidBody if the form has both, or one and any of `others`: nobody would know for whom it was.
    """
    uploaded, typed = request.FILES.get("file"), request.POST
    pasted, delimiter = typed.get("recipients", ""), typed.get("delimiter", "").strip()
    if sum(map(bool, (uploaded, pasted.strip(), *others))) > 1:
        raise _wrong(
            "/file", "The recipients are given more than once; expected one file, list or pasted text."
        )
    options = {
        "format": typed.get("format") or ordering.format_of(str(uploaded.name) if uploaded else "pasted.csv"),
        "delimiter": "\t" if delimiter == "tab" else delimiter,
        # What is pasted comes as the page was sent.
        "encoding": typed.get("encoding", "").strip() if uploaded else "",
        "header": "false" if "no_header" in typed else "",
    }
    source = uploaded or io.BytesIO(pasted.encode())
    return streams.Source(source, limit=settings.CAMPAIGN_BODY_LIMIT), options


def limits(typed: QueryDict) -> dict[str, str]:
    """The fields that say how it may go, which can be changed later: its rate, its hours, when it stops."""
    share = typed.get("stop_on_failure_percent", "").strip()
    begin, end = typed.get("window_from", ""), typed.get("window_to", "")
    zone = typed.get("window_zone", "").strip() or "UTC"
    window = f'{{"from": "{_quoted(begin)}", "to": "{_quoted(end)}", "timezone": "{_quoted(zone)}"}}'
    return {
        "rate_per_second": typed.get("rate_per_second", "").strip(),
        "stop_on_failure_rate": _share(share) if share else "",
        "window": window if begin or end else "",
    }


def _quoted(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum() or letter in ":/_+-")


def _share(percent: str) -> str:
    try:
        return repr(float(percent) / 100)
    except ValueError:
        raise _wrong("/stop_on_failure_rate", f"{percent!r} is no share; expected 0 to 100 %.") from None


def _instant(text: str) -> str:
    if not text:
        return ""
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None:
        raise _wrong("/start_at", f"{text!r} is not a time; expected one such as 2026-01-31T09:30.")
    return instant_text(at if timezone.is_aware(at) else timezone.make_aware(at))


def columns(text: str) -> Mapping[str, Any]:
    """The column map: a line each, such as "E-mail = key"."""
    pairs = [line.partition("=") for line in text.splitlines() if line.strip()]
    return {column.strip(): meant.strip() for column, _, meant in pairs}


def _wrong(pointer: str, detail: str) -> InvalidBody:
    return InvalidBody([Fault(pointer=pointer, code="value", detail=detail)])
