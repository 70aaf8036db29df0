"""KeysetList: a change list that pages by id, because counting or skipping ten million rows takes seconds."""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

BEFORE = "before"
AFTER = "after"


class KeysetList(ChangeList):
    """The newest objects first; `?before=<id>` are older ones, `?after=<id>` newer ones."""

    older: str | None
    newer: str | None

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Django's, without the place in the list, which is no filter."""
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (BEFORE, AFTER)}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """By id only: no other order has an index for every filter."""
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        """One page and whether there are more on either side; nothing is counted."""
        before, after = self._place(BEFORE), self._place(AFTER)
        page = self.list_per_page
        if after is not None:
            rows = list(self.queryset.filter(pk__gt=after).order_by("pk")[: page + 1])
            has_newer, has_older = len(rows) > page, True
            rows = rows[:page][::-1]
        else:
            older = self.queryset if before is None else self.queryset.filter(pk__lt=before)
            rows = list(older[: page + 1])
            has_newer, has_older = before is not None, len(rows) > page
            rows = rows[:page]
        self.older = self._link(BEFORE, rows[-1].pk) if rows and has_older else None
        self.newer = self._link(AFTER, rows[0].pk) if rows and has_newer else None
        self.result_list = rows
        # What Django's templates ask for; the numbers are those of this page.
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(rows)
        self.paginator = Paginator(rows, page)

    def newest(self) -> str:
        """The address of the first page of what is filtered."""
        return self.get_query_string(remove=[BEFORE, AFTER])

    def _place(self, name: str) -> int | None:
        text = self.params.get(name)
        if text is None:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise IncorrectLookupParameters(f"{name} is {text!r}: expected an id.")
        return int(text)

    def _link(self, name: str, value: int) -> str:
        other = AFTER if name == BEFORE else BEFORE
        return self.get_query_string({name: value, other: None})
