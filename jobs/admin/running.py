"""The Run button's own page: a form made of the job's parameter schema, and the launch it leads to."""

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import form, parameters
from jobs.models import Job
from jobs.panel import Panel, run_link
from runs import causes, launch

# Before each field's name, so that no parameter is taken for a field of ours.
PREFIX = "p-"
# Says that the form was sent, and not the button in the list pressed.
SENT = "_run"


def run(panel: Panel, request: HttpRequest, job: Job) -> SafeString | HttpResponse:
    """Launches `job` with what the form says, or shows the form; one without parameters needs none.

    Raises a LaunchRefused.
    """
    asks = bool(job.schema.get("properties"))
    if request.method != "POST":
        return _page(panel, request, job)
    if asks and SENT not in request.POST:
        return HttpResponseRedirect(request.path)
    try:
        given = form.from_form(job.schema, request.POST, prefix=PREFIX, defaults=job.defaults)
        return start(request, job, given)
    except parameters.InvalidParameters as error:
        return _page(panel, request, job, error)


def start(request: HttpRequest, job: Job, given: dict[str, Any] | None = None) -> SafeString:
    """Launches `job` by hand of who asks; the sentence names the run. Raises what `launch` raises."""
    assert isinstance(request.user, User)
    launched = launch.launch(
        job, cause=causes.manual(user=request.user), request=launch.Request(parameters=given or {})
    )
    sentence = (
        "Started {} as {}."
        if launched.created
        else "{} has an open run of the same dedup key, so none was started: {}."
    )
    return format_html(sentence, job.name, run_link(launched.run.pk))


def _page(
    panel: Panel, request: HttpRequest, job: Job, refused: parameters.InvalidParameters | None = None
) -> HttpResponse:
    typed = request.POST if refused is not None else None
    shown = form.fields(job.schema, job.defaults, prefix=PREFIX, typed=typed)
    beside: dict[str, list[str]] = {field.parameter: [] for field in shown}
    others: list[str] = []
    for fault in refused.errors if refused else []:
        name = fault.pointer[1:].split("/")[0].replace("~1", "/").replace("~0", "~")
        beside.get(name, others).append(fault.detail)
    rows = [{"field": f, "errors": beside[f.parameter], "hint": "" if f.help else f.expected} for f in shown]
    known = {"opts": panel.opts, "title": f"Run {job.name}", "job": job, "sent": SENT}
    context = {
        **panel.admin_site.each_context(request),
        **known,
        "form": {"rows": rows, "other_errors": others},
    }
    status = 200 if refused is None else 422
    return TemplateResponse(request, "admin/jobs/job/run.html", context, status=status)
