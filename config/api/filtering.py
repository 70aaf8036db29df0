"""Lists are filtered by what their view declares, and by nothing else: a filter nobody knows is refused."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

from jobs.faults import Fault
from jobs.wire import InvalidQuery


class StrictFilterBackend(DjangoFilterBackend):
    """Applies the view's filterset; an unknown name and an empty value are a 400.

    Besides its filters, a view may name what it reads itself from the query in `query_parameters`, and a
    filterset in `prefixes` the names it knows by their beginning.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Raises InvalidQuery."""
        filterset = self.get_filterset_class(view, queryset)
        prefixes: tuple[str, ...] = getattr(filterset, "prefixes", ())
        known = [*getattr(filterset, "base_filters", ()), *getattr(view, "query_parameters", ())]
        known += getattr(getattr(view, "paginator", None), "names", ())
        if faults := list(_faults(request, known, prefixes)):
            raise InvalidQuery(faults)
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return filtered


def _faults(request: Request, known: list[str], prefixes: tuple[str, ...]) -> Iterator[Fault]:
    for name, texts in request.query_params.lists():
        if name in known:
            if "" in texts:
                detail = f"{name!r} is empty; leave it out, or give a value."
                yield Fault(pointer=f"/{name}", code="empty", detail=detail)
        elif not name.startswith(prefixes):
            near = get_close_matches(name, known, n=1)
            names = ", ".join([*sorted(known), *(f"{prefix}<key>" for prefix in prefixes)])
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {names or 'none'}."
            yield Fault(pointer=f"/{name}", code="unknown", detail=f"{name!r} is no filter; {hint}")
        if any("\0" in text for text in texts):
            yield Fault(pointer=f"/{name}", code="text", detail=f"{name!r} has U+0000.")
