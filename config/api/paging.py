"""Lists: newest first by id, a page at a time, without counting and without OFFSET."""

from typing import Any, Final

from django.db.models import Model, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from jobs.wire import query

LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
# `n7`: what comes after id 7, that is, is older; `p7`: what is newer. Clients take it as it comes.
CURSOR: Final = {"type": "string", "pattern": "^[np][0-9]{1,18}$"}
PARAMETERS: Final = {
    "limit": (LIMIT, "How many entries a page has."),
    "cursor": (CURSOR, "Where the page begins: taken from `next` or `previous`."),
}
_SCHEMA: Final = {"properties": {name: schema for name, (schema, _) in PARAMETERS.items()}}


class NewestFirst(BasePagination):
    """`?limit=` and `?cursor=`; the answer is `{"results": […], "next": url|null, "previous": url|null}`."""

    names = frozenset(PARAMETERS)

    next: str | None
    previous: str | None

    def paginate_queryset(  # type: ignore[override]  # no sequence has a keyset
        self, queryset: QuerySet[Any], request: Request, view: Any = None
    ) -> list[Any]:
        """One page of `queryset`; raises InvalidQuery for a limit or cursor that is none."""
        self.url = request.build_absolute_uri()
        asked = query(request, _SCHEMA, others=True)
        limit, cursor = asked["limit"], asked.get("cursor", "")
        number = int(cursor[1:] or 0)
        if cursor.startswith("p"):
            newer = list(queryset.filter(pk__gt=number).order_by("pk")[: limit + 1])
            page = newer[:limit][::-1]
            self.next = f"n{page[-1].pk}" if page else f"n{number + 1}"
            self.previous = f"p{page[0].pk}" if len(newer) > limit else None
            return page
        older = queryset.filter(pk__lt=number) if cursor else queryset
        found = list(older.order_by("-pk")[: limit + 1])
        page = found[:limit]
        self.next = f"n{page[-1].pk}" if len(found) > limit else None
        self.previous = _newer_than(page, number) if cursor else None
        return page

    def get_paginated_response(self, data: Any) -> Response:
        """The page with the addresses of its neighbours."""
        return Response({"results": data, **self.links()})

    def links(self) -> dict[str, str | None]:
        """The addresses of the next and the previous page."""
        bare = remove_query_param(self.url, "cursor")
        return {
            name: replace_query_param(bare, "cursor", cursor) if cursor else None
            for name, cursor in (("next", self.next), ("previous", self.previous))
        }

    def get_paginated_response_schema(self, schema: Any) -> dict[str, Any]:
        """How the OpenAPI document describes a page of `schema`."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """How the OpenAPI document describes `limit` and `cursor`."""
        return [
            {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
            for name, (schema, description) in PARAMETERS.items()
        ]


def _newer_than(page: list[Model], number: int) -> str:
    return f"p{page[0].pk}" if page else f"p{max(number - 1, 0)}"
