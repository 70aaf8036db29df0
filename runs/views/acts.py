"""What people may do to runs from any page: cancel, retry, run again with changes. Each is one POST."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from jobs import form, parameters, priority
from jobs.parameters import InvalidParameters
from runs import causes, launch, lifecycle, urgency
from runs.models import Run
from runs.views.access import CANCEL_RUN, PRIORITISE_RUN, RETRY_RUN, back, permitted, person
from runs.views.launch_form import PREFIX, LaunchForm
from runs.views.run_page import find


@permitted(CANCEL_RUN)
@require_POST
def cancel(request: HttpRequest, ref: str) -> HttpResponse:
    """Cancels an open run, or asks a running one to stop."""
    run = find(ref)
    moved = lifecycle.cancel(
        Run.objects.filter(pk=run.pk), by=causes.actor(user=person(request), api_key=None)
    )
    if not moved:
        messages.info(request, f"Run #{run.pk} had already ended, or was asked to stop before.")
    elif moved[0].status == "running":
        messages.success(request, f"Run #{run.pk} was asked to stop.")
    else:
        messages.success(request, f"Run #{run.pk} is cancelled.")
    return back(request, otherwise=reverse("pages:run", args=[run.pk]))


@permitted(PRIORITISE_RUN)
@require_POST
def prioritise(request: HttpRequest, ref: str) -> HttpResponse:
    """Gives a run that has not started another priority, and so perhaps another lane."""
    run, typed = find(ref), request.POST.get("priority", "").strip()
    by = causes.actor(user=person(request), api_key=None)
    try:
        wanted = priority.typed(typed)
    except priority.InvalidPriority as error:
        messages.error(request, str(error))
    else:
        if refused := urgency.refusal(run):
            messages.error(request, refused)
        elif urgency.change(Run.objects.filter(pk=run.pk), priority=wanted, by=by):
            messages.success(
                request, f"Run #{run.pk} has priority {wanted} now, lane {priority.lane(wanted)}."
            )
        else:
            messages.info(request, f"Run #{run.pk} has priority {wanted} already.")
    return back(request, otherwise=reverse("pages:run", args=[run.pk]))


@permitted(RETRY_RUN)
@require_POST
def retry(request: HttpRequest, ref: str) -> HttpResponse:
    """Launches the job of an ended run again, with the same parameters, and shows the new run."""
    run = find(ref)
    try:
        launched = launch.retry(run, cause=causes.retry(run, user=person(request)))
    except (launch.LaunchRefused, InvalidParameters) as error:
        messages.error(request, str(error))
        return back(request, otherwise=reverse("pages:run", args=[run.pk]))
    return _show(request, launched, run)


@permitted(RETRY_RUN)
@require_http_methods(["GET", "POST"])
def rerun(request: HttpRequest, ref: str) -> HttpResponse:
    """The form of an ended run's parameters, and the new run that it starts."""
    run = find(ref)
    hidden = _secrets(run)
    typed = request.POST if request.method == "POST" else None
    shown = LaunchForm(job=run.job, values=run.parameters, typed=typed)
    if typed is not None:
        try:
            given = form.from_form(
                run.job.schema, typed, prefix=PREFIX, defaults={**run.job.defaults, **hidden}
            )
            again = {**hidden, **given}
            cause = causes.retry(run, changed=again != run.parameters, user=person(request))
            return _show(request, launch.retry(run, cause=cause, parameters=again), run)
        except InvalidParameters as error:
            shown.refuse(error)
        except launch.LaunchRefused as error:
            shown.refusal = str(error)
    return render(request, "runs/rerun.html", {"run": run, "form": shown}, status=shown.status)


def _secrets(run: Run) -> dict[str, object]:
    """The top-level parameters that hold a secret: never shown in a form, they stay what they were if left empty."""
    masked = parameters.mask(run.job.schema, run.parameters)
    return {name: value for name, value in run.parameters.items() if masked[name] != value}


def _show(request: HttpRequest, launched: launch.Launched, run: Run) -> HttpResponse:
    if launched.created:
        messages.success(request, f"Started #{launched.run.pk}, a retry of #{run.pk}.")
    else:
        messages.info(
            request, f"#{launched.run.pk} with the same dedup key is still open; nothing was started."
        )
    return HttpResponseRedirect(reverse("pages:run", args=[launched.run.pk]))
