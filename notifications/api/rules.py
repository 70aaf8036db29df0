"""Rules: list, make, change and remove them."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from jobs import wire
from jobs.endpoint import Endpoint, described
from jobs.expectations import shown
from jobs.models import Job
from jobs.versions import digest, hold, tag
from notifications.api.objects import NEW_RULE, RULE, RuleSerializer, check_unbound, refusal
from notifications.models import Channel, Rule

_ACTS: Mapping[str, str] = {"POST": "add", "PATCH": "change", "DELETE": "delete"}
_KNOWN = Rule.objects.select_related("channel", "job")


class RulesView(generics.ListAPIView[Rule]):
    """List rules, or make one."""

    serializer_class = RuleSerializer
    queryset = Rule.objects.none()
    # Without the one that narrows by job: whoever sees some jobs only sees no rules.
    filter_backends = cast(Any, api_settings.DEFAULT_FILTER_BACKENDS[1:])

    @property
    def required_permission(self) -> str:
        """What a person needs for this method."""
        return f"notifications.{_ACTS.get(self.request.method or '', 'view')}_rule"

    def get_queryset(self) -> QuerySet[Rule]:
        """All of them."""
        check_unbound(self.request)
        return _KNOWN.order_by("-pk")

    def get(self, request: Request, *arguments: Any, **options: Any) -> Response:
        """List the rules."""
        return self.list(request, *arguments, **options)

    @described(body=NEW_RULE, answers={201: RuleSerializer})
    def post(self, request: Request) -> Response:
        """Make a rule: tell a channel of some occasions, of one job, of the jobs with a tag, or of all."""
        check_unbound(request)
        return _answer(_write(Rule(), wire.body(request, NEW_RULE)), status=201)


class RuleView(Endpoint):
    """Read, change or remove one rule."""

    conditional: ClassVar = True
    answers: ClassVar = {200: RuleSerializer}

    @property
    def required_permission(self) -> str:
        """What a person needs for this method."""
        return f"notifications.{_ACTS.get(self.request.method or '', 'view')}_rule"

    def get(self, request: Request, rule: int) -> Response:
        """Read one rule; the header `ETag` is its version."""
        return _answer(_find(request, rule))

    @described(body=RULE, answers={200: RuleSerializer})
    def patch(self, request: Request, rule: int) -> Response:
        """Change what the body names of a rule."""
        body = wire.body(request, RULE)
        with transaction.atomic():
            found = _write(_held(request, rule), body)
        return _answer(found)

    @described(answers={204: None})
    def delete(self, request: Request, rule: int) -> Response:
        """Remove a rule; what it told stays."""
        with transaction.atomic():
            _held(request, rule).delete()
        return Response(status=204)


def _answer(rule: Rule, *, status: int = 200) -> Response:
    return Response(RuleSerializer(rule).data, status=status, headers=tag(_version(rule)))


def _version(rule: Rule) -> str:
    settled = (rule.quiet_minutes, rule.is_enabled)
    return digest(rule.channel_id, rule.job_id, rule.tag, rule.occasions, *settled)


def _held(request: Request, number: int) -> Rule:
    """The rule, which nobody else can change meanwhile; raises NotFound and PreconditionFailed."""
    return hold(request, _find(request, number), version=_version, noun="rule")


def _write(rule: Rule, body: Mapping[str, Any]) -> Rule:
    if "channel" in body:
        rule.channel = _channel(body["channel"])
    if "job" in body:
        rule.job = _job(body["job"])
    rule.tag = body.get("tag", rule.tag)
    rule.occasions = body.get("occasions", rule.occasions)
    rule.quiet_minutes = body.get("quiet_minutes", rule.quiet_minutes)
    rule.is_enabled = body.get("enabled", rule.is_enabled)
    try:
        rule.full_clean()
    except ValidationError as error:
        raise wire.refused(error) from None
    rule.save()
    return rule


def _channel(number: int) -> Channel:
    found = Channel.objects.filter(pk=number).first()
    if found is None:
        raise refusal("channel", f"There is no channel {number}.")
    return found


def _job(slug: str | None) -> Job | None:
    if slug is None:
        return None
    found = Job.objects.filter(slug=slug).first()
    if found is None:
        raise refusal("job", f"There is no job {shown(slug)}.")
    return found


def _find(request: Request, number: int) -> Rule:
    check_unbound(request)
    found = _KNOWN.filter(pk=number).first() if number < 2**63 else None
    if found is None:
        raise NotFound(f"There is no rule {number}.")
    return found
