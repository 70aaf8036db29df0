"""Saved recipient lists: save one, list them, look at one, delete one."""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework import exceptions, generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from jobs import wire
from jobs.endpoint import Endpoint, described
from jobs.expectations import shown
from jobs.fields import Instant, Value
from runs import lists, ordering
from runs.api.campaign_orders import FORMATS, BodyTooLarge, file_texts, kind_of, source_of
from runs.api.finding import actor, caller, visible_lists
from runs.models import RecipientList
from runs.streams import TooLarge
from triggers.models import Scope


class RecipientListSerializer(serializers.Serializer[RecipientList]):
    """A saved list of recipients."""

    id = Value(wire.WHOLE)
    name = Value(wire.TEXT)
    size = Value(wire.WHOLE)
    saved_by = Value(wire.TEXT)
    created_at = Instant(wire.INSTANT)


class RecipientListsView(generics.ListAPIView[RecipientList]):
    """List saved recipient lists, or save one."""

    required_scope: ClassVar = {
        "GET": Scope.READ,
        "HEAD": Scope.READ,
        "OPTIONS": Scope.READ,
        "POST": Scope.RUN,
    }
    serializer_class = RecipientListSerializer
    queryset = RecipientList.objects.none()
    # A list has no job; what a key that is bound to some jobs may see is said by `visible_lists`.
    filter_backends = cast(Any, api_settings.DEFAULT_FILTER_BACKENDS[1:])

    def get_queryset(self) -> QuerySet[RecipientList]:
        """The lists that the caller may see."""
        return visible_lists(self.request)

    def get(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List saved recipient lists."""
        return self.list(request, *arguments, **options)

    @described(body=ordering.LIST, answers={201: RecipientListSerializer})
    def post(self, request: Request) -> Response:
        """Save a list under a name: JSON, or CSV or NDJSON with the options in the query.

        The cells of a CSV are read by the schema of the job of each campaign that is ordered for the list.
        """
        raw: HttpRequest = request._request
        kind = kind_of(request)
        if kind != "application/json" and kind not in FORMATS:
            expected = "application/json, text/csv or application/x-ndjson"
            raise exceptions.UnsupportedMediaType(
                kind, detail=f"The body is {shown(kind)}; expected {expected}."
            )
        texts = file_texts(request) if kind in FORMATS else request.query_params.dict()
        source = source_of(request)
        try:
            sent = ordering.of_list(source, texts, size=int(raw.META.get("CONTENT_LENGTH") or 0))
            who: dict[str, Any] = {"by": actor(request), "user": caller(request).get("user")}
            is_text = texts.get("format") == "csv"
            found = lists.save(sent.options["name"], sent.lines, is_text=is_text, **who)
        except TooLarge as error:
            raise BodyTooLarge(str(error)) from None
        return Response(RecipientListSerializer(found).data, status=201)


class RecipientListView(Endpoint):
    """Look at a saved recipient list, rename it, or delete it."""

    required_scope: ClassVar = {
        "GET": Scope.READ,
        "HEAD": Scope.READ,
        "OPTIONS": Scope.READ,
        "PATCH": Scope.RUN,
        "DELETE": Scope.RUN,
    }
    answers: ClassVar = {200: RecipientListSerializer}

    def get(self, request: Request, number: int) -> Response:
        """Look at a saved recipient list."""
        return Response(RecipientListSerializer(_find(request, number)).data)

    @described(body=ordering.LIST_CHANGES, answers={200: RecipientListSerializer})
    def patch(self, request: Request, number: int) -> Response:
        """Rename a saved recipient list; a name that another list has is a 409."""
        found = _find(request, number)
        lists.rename(found, name=wire.body(request, ordering.LIST_CHANGES)["name"])
        return Response(RecipientListSerializer(found).data)

    @described(answers={204: None})
    def delete(self, request: Request, number: int) -> Response:
        """Delete a saved recipient list; campaigns that were ordered for it keep their recipients."""
        _find(request, number).delete()
        return Response(status=204)


def _find(request: Request, number: int) -> RecipientList:
    found = visible_lists(request).filter(pk=number).first()
    if found is None:
        raise exceptions.NotFound(f"There is no recipient list {number}.")
    return found
