"""API keys about themselves, and people about theirs: what they may do, how they are used; rotate and revoke."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from jobs import wire
from jobs.endpoint import Endpoint
from jobs.fields import Instant, Value
from triggers import keys
from triggers.authentication import scopes_of
from triggers.key_report import report
from triggers.models import ApiKey, Scope

LONGEST_HOURS: Final = keys.LONGEST_OVERLAP // timedelta(hours=1)
ROTATION: Final[wire.Schema] = {
    "type": "object",
    "properties": {
        "overlap_hours": {
            "type": "integer",
            "minimum": 0,
            "maximum": LONGEST_HOURS,
            "description": "For how long the secret of now stays valid; 24 unless told.",
        }
    },
    "additionalProperties": False,
}
NO_BODY: Final[wire.Schema] = {"type": "object", "properties": {}, "additionalProperties": False}
_USE: Final[wire.Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "job": wire.TEXT_OR_NULL,
            "calls": wire.WHOLE,
            "launches": wire.WHOLE,
            "last_hour": wire.INSTANT,
            "if_revoked": wire.TEXT,
        },
    },
}


class KeySerializer(serializers.Serializer[ApiKey]):
    """A key without its secret. `effective_scopes` are those that its owner has the permission for."""

    id = Value(wire.TEXT, source="public_id")
    name = Value(wire.TEXT)
    owner = Value(wire.TEXT, source="owner.username")
    scopes = Value(wire.TEXTS)
    effective_scopes = serializers.SerializerMethodField()
    jobs = serializers.SerializerMethodField()
    networks = Value(wire.TEXTS)
    rate_limit = Value(wire.TEXT_OR_NULL)
    enabled = Value(wire.YES_NO)
    valid = serializers.SerializerMethodField()
    expires_at = Instant()
    idle_days = Value(wire.WHOLE_OR_NULL)
    ends_at = Instant()
    revoked_at = Instant()
    rotated_at = Instant()
    former_until = Instant()
    former_calls = Value(wire.WHOLE)
    former_used_at = Instant()
    last_used_at = Instant()
    last_used_from = Value(wire.TEXT_OR_NULL)
    launches = Value(wire.WHOLE)
    flags = serializers.SerializerMethodField()
    created_at = Instant(wire.INSTANT)

    @extend_schema_field(dict(wire.TEXTS))
    def get_effective_scopes(self, key: ApiKey) -> list[str]:
        return scopes_of(key)

    @extend_schema_field({"type": ["array", "null"], "items": {"type": "string"}})
    def get_jobs(self, key: ApiKey) -> list[str] | None:
        """The slugs of the jobs it may see; null: every job."""
        return [job.slug for job in key.jobs.all()] if key.restricted else None

    @extend_schema_field(dict(wire.YES_NO))
    def get_valid(self, key: ApiKey) -> bool:
        return key.is_valid(timezone.now())

    @extend_schema_field(dict(wire.TEXTS))
    def get_flags(self, key: ApiKey) -> Sequence[str]:
        return key.flags(timezone.now())


class UsedKeySerializer(KeySerializer):
    """A key with its use in the last 30 days (`report` of the context), and what would stop if it were revoked."""

    uses = serializers.SerializerMethodField()
    calls_by_hour = serializers.SerializerMethodField()

    @extend_schema_field(dict(_USE))
    def get_uses(self, key: ApiKey) -> list[dict[str, Any]]:
        """Its use by job."""
        return [
            {
                "job": use.job.slug if use.job else None,
                "calls": use.calls,
                "launches": use.launches,
                "last_hour": wire.instant_text(use.last_at),
                "if_revoked": use.sentence,
            }
            for use in self.context["report"].jobs
        ]

    @extend_schema_field({"type": "array", "items": {"type": "integer"}})
    def get_calls_by_hour(self, key: ApiKey) -> list[int]:
        """Calls in each of the last 24 hours, oldest first."""
        return list(self.context["report"].hours)


class RotatedKeySerializer(KeySerializer):
    """A key with its new text, this once."""

    key = serializers.SerializerMethodField()

    @extend_schema_field(dict(wire.TEXT))
    def get_key(self, key: ApiKey) -> str:
        return str(self.context["text"])


def known_keys(request: Request) -> QuerySet[ApiKey]:
    """The keys the caller may know: a key itself, a person their own, a superuser all."""
    found = ApiKey.objects.select_related("owner").prefetch_related("jobs")
    if isinstance(request.auth, ApiKey):
        return found.filter(pk=request.auth.pk)
    if isinstance(request.user, User) and request.user.is_superuser:
        return found
    return found.filter(owner=request.user.pk)


def find_key(request: Request, public_id: str) -> ApiKey:
    """The key of that public part (`7f3a01bc` or `hw_7f3a01bc`); raises NotFound."""
    key = known_keys(request).filter(public_id=public_id.removeprefix("hw_")).first()
    if key is None:
        raise NotFound(f"There is no key {public_id!r} that you may know.")
    return key


class KeyListView(generics.ListAPIView[ApiKey]):
    """List the keys the caller may know."""

    required_scope = Scope.READ
    required_permission: ClassVar = "triggers.view_apikey"
    serializer_class = KeySerializer
    queryset = ApiKey.objects.none()
    # Without the one that narrows by job: keys belong to none.
    filter_backends = cast(Any, api_settings.DEFAULT_FILTER_BACKENDS[1:])

    def get_queryset(self) -> QuerySet[ApiKey]:
        """A key itself; a person's own; for a superuser, all."""
        return known_keys(self.request)


class KeyView(Endpoint):
    """Read one key."""

    required_scope = Scope.READ
    required_permission: ClassVar = "triggers.view_apikey"
    answers: ClassVar = {200: UsedKeySerializer}

    def get(self, request: Request, key: str) -> Response:
        """Read one key: what it may do, how it is used, and what would stop if it were revoked."""
        found = find_key(request, key)
        told = {"report": report(found, now=timezone.now())}
        return Response(UsedKeySerializer(found, context=told).data)


class RotateKeyView(Endpoint):
    """Give a key another secret."""

    required_scope = Scope.WRITE
    required_permission: ClassVar = "triggers.change_apikey"
    body_schema = ROTATION
    answers: ClassVar = {200: RotatedKeySerializer}

    def post(self, request: Request, key: str) -> Response:
        """Give a key another secret, shown in this answer and never again; the former one overlaps."""
        found = find_key(request, key)
        hours = wire.body(request, self.body_schema).get("overlap_hours", 24)
        text = keys.rotate(found, overlap=timedelta(hours=int(hours)), now=timezone.now())
        body = RotatedKeySerializer(found, context={"text": text}).data
        return Response(body, headers={"Cache-Control": "no-store"})


class RevokeKeyView(Endpoint):
    """End a key at once and for good."""

    required_scope: ClassVar[Any] = Scope.WRITE
    required_permission: ClassVar = "triggers.change_apikey"
    body_schema = NO_BODY
    answers: ClassVar[Mapping[Any, Any]] = {200: KeySerializer}

    def post(self, request: Request, key: str) -> Response:
        """End a key at once and for good; what it started goes on."""
        wire.body(request, self.body_schema)
        found = find_key(request, key)
        keys.revoke(found)
        return Response(KeySerializer(found).data)
