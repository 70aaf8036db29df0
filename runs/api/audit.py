"""Who changed what, as outsiders read it, and taking a change back."""

import re
from typing import Any, ClassVar, Final, cast

from django.db.models import QuerySet
from django_filters import CharFilter
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from jobs import wire
from jobs.changes import Change
from jobs.endpoint import Endpoint
from jobs.expectations import shown
from jobs.faults import Fault
from jobs.fields import Instant, Value
from jobs.wire import InvalidQuery
from runs.api import bodies
from triggers import reverting
from triggers.models import ApiKey, Scope

PERMISSION: Final = "jobs.view_change"
OBJECT: Final = {"type": "string", "pattern": r"^[a-z]+\.[a-z]+:[0-9]{1,18}$"}


def _filter(schema: wire.Schema, method: str, help_text: str) -> CharFilter:
    # A class of its own: the description of a filter is kept on its class.
    made: CharFilter = extend_schema_field({**schema, "description": help_text})(
        type("ChangeCharFilter", (CharFilter,), {})
    )(method=method, label=help_text, strip=False)
    return made


class ChangeSerializer(serializers.Serializer[Change]):
    """One change: `before` and `after` of an update hold the changed fields only; secrets are dots."""

    id = Value(wire.WHOLE)
    at = Instant(wire.INSTANT)
    object = Value(wire.TEXT, source="ref")
    title = Value(wire.TEXT)
    act = Value({"type": "string", "enum": ["insert", "update", "delete"]})
    vars()["fields"] = Value(wire.TEXTS)
    before = Value(wire.OBJECT_OR_NULL)
    after = Value(wire.OBJECT_OR_NULL)
    by = Value(wire.TEXT)
    details = Value(wire.OBJECT, source="facts")


class ChangeFilter(FilterSet):
    """`object`: the changes of one (`jobs.job:7`); `by`: of whom."""

    vars()["object"] = _filter(OBJECT, "of_object", "Of one object, such as `jobs.job:7`.")
    by = _filter({"type": "string", "minLength": 1}, "by_somebody", "Part of who it was.")

    class Meta:
        model = Change
        fields: ClassVar[list[str]] = []

    def of_object(self, queryset: QuerySet[Change], name: str, value: str) -> QuerySet[Change]:
        """The changes of that object; raises InvalidQuery for a text that names none."""
        if not re.fullmatch(OBJECT["pattern"], value):
            detail = f"'object' is {shown(value)}; expected a kind and an id, such as jobs.job:7."
            raise InvalidQuery([Fault(pointer="/object", code="format", detail=detail)])
        model, _, number = value.partition(":")
        return queryset.filter(model=model, object_id=int(number))

    def by_somebody(self, queryset: QuerySet[Change], name: str, value: str) -> QuerySet[Change]:
        """The changes by people, keys and commands whose name holds `value`."""
        return queryset.filter(context__metadata__by__icontains=value)


class ChangeListView(generics.ListAPIView[Change]):
    """List changes of jobs, triggers, keys, calendars, lanes and campaigns."""

    required_scope = Scope.READ
    required_permission: ClassVar = PERMISSION
    serializer_class = ChangeSerializer
    filterset_class = ChangeFilter
    # Without the one that narrows by job: `_check` lets only those in who see every job.
    filter_backends = cast(Any, api_settings.DEFAULT_FILTER_BACKENDS[1:])
    queryset = Change.objects.none()

    def get_queryset(self) -> QuerySet[Change]:
        """The changes that the caller may see."""
        _check(self.request)
        return Change.objects.seen_by(self.request.user).select_related("context")


class RevertChangeView(Endpoint):
    """Take a change back."""

    required_scope = Scope.WRITE
    required_permission: ClassVar = PERMISSION
    body_schema = bodies.NOTHING
    answers: ClassVar = {200: ChangeSerializer}

    def post(self, request: Request, change: int) -> Response:
        """Take one change back, if nobody changed the same since; the answer is the change that did it."""
        wire.body(request, self.body_schema)
        _check(request)
        found = Change.objects.seen_by(request.user).filter(pk=change).first()
        if found is None:
            raise NotFound(f"There is no change {change}.")
        needed = reverting.permission(found)
        if not request.user.has_perm(needed):
            raise PermissionDenied(f"The permission {needed} is needed to take this back.")
        reverting.revert(found)
        same = Change.objects.filter(model=found.model, object_id=found.object_id)
        newest = same.select_related("context").first()
        return Response(ChangeSerializer(newest).data)


def _check(request: Request) -> None:
    """Lets those in who see every job and may see changes: of a key, its owner must."""
    if isinstance(request.auth, ApiKey) and request.auth.restricted:
        raise PermissionDenied("This API key has a list of jobs; the trail is about all of them.")
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied(f"The permission {PERMISSION} is needed to see who changed what.")
