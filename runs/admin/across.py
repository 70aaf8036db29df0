"""ActsOnAll: has an action of a change list done to all that its filters find, as an operation in the background."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from jobs.panel import Panel
from runs import bulk
from runs.launch import LaunchRefused
from runs.models import BulkOperation

ALL_MATCHING: Final = "all_matching"

if TYPE_CHECKING:
    _Panel = Panel
else:
    _Panel = object


class ActsOnAll(_Panel):
    """A panel of runs whose actions may be meant for all that match (the box `all_matching` beside the action).

    Nothing is done in the request but choosing: `runs.bulk` and the sweep do the rest.
    """

    # Which act each action is.
    acts_on_all: ClassVar[Mapping[str, BulkOperation.Act]] = {}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, or an order for all that it would show on all its pages."""
        if request.method == "POST" and request.POST.get(ALL_MATCHING):
            return self._order(request)
        return super().changelist_view(request, extra_context)

    def ask_for_all(self, request: HttpRequest, act: BulkOperation.Act) -> int | HttpResponse | None:
        """What the act needs to be told: a priority, or the page that asks for it; None for nothing."""
        return None

    def _order(self, request: HttpRequest) -> HttpResponse:
        name = request.POST.get("action", "")
        if name not in self.acts_on_all or name not in self.get_actions(request):
            messages.error(request, "Nothing was done: choose what is to be done to all that match.")
            return HttpResponseRedirect(request.get_full_path())
        act = self.acts_on_all[name]
        priority = self.ask_for_all(request, act)
        if isinstance(priority, HttpResponse):
            return priority
        assert isinstance(request.user, User)
        found = self.get_changelist_instance(request)
        try:
            made = bulk.order(
                found.get_queryset(request),
                act=act,
                words=_words(found.get_filters_params(), found.query),
                priority=priority,
                user=request.user,
            )
        except LaunchRefused as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(request.get_full_path())
        messages.success(
            request, f"Operation {made.pk}: {made.words} for {made.total} runs, in the background."
        )
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:runs_bulkoperation_changelist"))


def _words(filters: Mapping[str, Any], search: str) -> str:
    """What the list was narrowed to, for people."""
    said = [f"{name.removesuffix('__exact')} = {_value(given)}" for name, given in sorted(filters.items())]
    return ", ".join([*said, *([f"“{search}”"] if search else [])]) or "all runs"


def _value(given: Any) -> str:
    return ", ".join(map(str, given)) if isinstance(given, list) else str(given)
