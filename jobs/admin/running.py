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
from runs.views.launch_form import PREFIX, LaunchForm

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
    shown = LaunchForm(job=job, values=job.defaults)
    if refused is not None:
        shown.typed = request.POST
        shown.refuse(refused)
    known = {"opts": panel.opts, "title": f"Run {job.name}", "job": job, "form": shown, "sent": SENT}
    context = {**panel.admin_site.each_context(request), **known}
    return TemplateResponse(request, "admin/jobs/job/run.html", context, status=shown.status)
