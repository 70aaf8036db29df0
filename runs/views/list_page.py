"""The page /campaigns/lists/: saved recipient lists, to save one, rename it, delete it."""

import json
from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from jobs.wire import InvalidBody
from runs import causes, lists, ordering, streams
from runs.lists import ListRefused
from runs.models import RecipientList
from runs.views.access import RUN_JOB, permitted, person, takes_files
from runs.views.campaign_form import columns, sent_by

SHOWN: Final = 500


@takes_files
@permitted(RUN_JOB)
@require_http_methods(["GET", "POST"])
def recipient_lists(request: HttpRequest) -> HttpResponse:
    """The lists, and the form that saves one."""
    errors: list[str] = []
    if request.method == "POST":
        try:
            saved = _save(request)
        except InvalidBody as error:
            errors = [fault.detail for fault in error.errors]
        except (ListRefused, streams.TooLarge) as error:
            errors = [str(error)]
        else:
            messages.success(request, f"Saved the list {saved.name} of {saved.size} recipients.")
            return redirect("pages:recipient-lists")
    context = {"lists": RecipientList.objects.all()[:SHOWN], "errors": errors, "typed": request.POST}
    return render(request, "runs/campaigns/lists.html", context, status=422 if errors else 200)


@permitted(RUN_JOB)
@require_POST
def rename(request: HttpRequest, number: int) -> HttpResponse:
    """Gives a list another name."""
    found = _find(number)
    try:
        lists.rename(found, name=request.POST.get("name", ""))
    except ListRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"The list is called {found.name} now.")
    return redirect("pages:recipient-lists")


@permitted(RUN_JOB)
@require_POST
def delete(request: HttpRequest, number: int) -> HttpResponse:
    """Deletes a list; campaigns that were ordered for it keep their recipients."""
    found = _find(number)
    found.delete()
    messages.success(request, f"Deleted the list {found.name}.")
    return redirect("pages:recipient-lists")


def _save(request: HttpRequest) -> RecipientList:
    """Saves what the form says. Raises InvalidBody, ListRefused and TooLarge."""
    typed = request.POST
    source, texts = sent_by(request)
    meant = columns(typed.get("columns", ""))
    texts |= {"name": typed.get("name", "").strip(), "columns": json.dumps(meant) if meant else ""}
    sent = ordering.of_list(source, texts, size=0)
    user = person(request)
    by = causes.actor(user=user, api_key=None)
    is_text = texts["format"] == "csv"
    return lists.save(sent.options["name"], sent.lines, is_text=is_text, by=by, user=user)


def _find(number: int) -> RecipientList:
    found = RecipientList.objects.filter(pk=number).first() if number < 2**63 else None
    if found is None:
        raise Http404(f"There is no recipient list {number}.")
    return found
