"""Making, changing and removing triggers, switching them on and off, and firing one by hand."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import wire
from jobs.endpoint import Endpoint, described
from jobs.faults import Fault
from jobs.versions import hold, tag
from jobs.wire import InvalidBody
from runs import causes, launch
from runs.api import bodies, event_bodies, trigger_bodies
from runs.api.dependencies import hide
from runs.api.finding import caller, find_job, in_chain
from runs.api.launching import LaunchView
from runs.api.triggers import (
    MadeTriggerSerializer,
    RotatedSerializer,
    TriggerListView,
    TriggerSerializer,
    TriggerView,
    find_trigger,
    secrets_of,
    trigger_objects,
)
from runs.launch import Launched, LaunchRefused
from triggers import dependencies, limits, requirements
from triggers.events import secrets
from triggers.models import Kind, Trigger

NOTHING: Final[Mapping[int, Any]] = {204: None}
FIRE: Final[wire.Schema] = {
    "type": "object",
    "properties": {"parameters": {"type": "object", "description": "Over the trigger's own."}},
    "additionalProperties": False,
}


ROTATE: Final[wire.Schema] = {
    "type": "object",
    "properties": {
        "secret": {"type": "string", "minLength": 1, "maxLength": 500, "writeOnly": True},
        "grace_seconds": {"type": "number", "minimum": 0, "maximum": secrets.LONGEST_GRACE},
    },
    "additionalProperties": False,
}


class TriggersView(TriggerListView):
    """List a job's triggers, or make one."""

    @property
    def required_permission(self) -> str:  # type: ignore[override]
        """What a person needs for this method."""
        return "triggers.add_trigger" if self.request.method == "POST" else "triggers.view_trigger"

    @described(body=trigger_bodies.NEW, answers={201: MadeTriggerSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Make a schedule, a dependency or an event trigger; a job has its remote trigger already.

        The answer to an event trigger shows the `secret` that was made for it, this once.
        """
        job = find_job(request, slug)
        body = trigger_bodies.new(request)
        trigger = Trigger(job=job, kind=body["kind"])
        with transaction.atomic():
            secret = written(request, trigger, body, whole=True)
        address = request.build_absolute_uri(f"/api/jobs/{job.slug}/triggers/{trigger.pk}")
        return answer(trigger, status=201, headers={"Location": address}, secret=secret)


class TriggerEditView(TriggerView):
    """Read, change or remove one trigger."""

    conditional: ClassVar = True
    permissions: ClassVar = {"PUT": "change", "PATCH": "change", "DELETE": "delete"}

    @property
    def required_permission(self) -> str:  # type: ignore[override]
        """What a person needs for this method."""
        act = self.permissions.get(self.request.method or "", "view")
        return f"triggers.{act}_trigger"

    @described(body=trigger_bodies.WHOLE, answers={200: TriggerSerializer})
    def put(self, request: Request, slug: str, trigger: int) -> Response:
        """Write one trigger whole: what the body does not name becomes what it is by default."""
        return self._change(request, slug, trigger, whole=True)

    @described(body=trigger_bodies.CHANGES, answers={200: TriggerSerializer})
    def patch(self, request: Request, slug: str, trigger: int) -> Response:
        """Change what the body names of one trigger."""
        return self._change(request, slug, trigger, whole=False)

    @described(answers=NOTHING)
    def delete(self, request: Request, slug: str, trigger: int) -> Response:
        """Remove one trigger; its runs stay, and so does what they say of it. A remote one can't be removed."""

        def remove(found: Trigger) -> None:
            if found.kind == Kind.REMOTE:
                raise LaunchRefused("A job keeps its remote trigger: disable it instead.")
            if found.listeners.exists():
                raise LaunchRefused("Other triggers hear of what comes to its address: remove those first.")
            found.delete()

        held(request, slug, trigger, remove)
        return Response(status=204)

    def _change(self, request: Request, slug: str, number: int, *, whole: bool) -> Response:
        kind = find_trigger(request, slug, number).kind
        body = wire.body(request, trigger_bodies.schema(kind, whole=whole))
        made: list[str | None] = []

        def change(found: Trigger) -> None:
            made.append(written(request, found, body, whole=whole))

        return answer(held(request, slug, number, change), secret=made[0])


class EnableView(Endpoint):
    """Switch a trigger on."""

    required_permission: ClassVar = "triggers.change_trigger"
    conditional: ClassVar = True
    body_schema = bodies.NOTHING
    answers: ClassVar = {200: TriggerSerializer}
    enabled: ClassVar = True

    def patch(self, request: Request, slug: str, trigger: int) -> Response:
        """Switch a trigger on; nothing is caught up of what it would have done meanwhile."""
        return self.switch(request, slug, trigger)

    def switch(self, request: Request, slug: str, number: int) -> Response:
        """Switches the trigger as the address says."""
        wire.body(request, self.body_schema)

        def change(found: Trigger) -> None:
            found.enabled = self.enabled
            found.save(update_fields=["enabled", "updated_at"])

        return answer(held(request, slug, number, change))


class DisableView(EnableView):
    """Switch a trigger off."""

    enabled = False

    def patch(self, request: Request, slug: str, trigger: int) -> Response:
        """Switch a trigger off: it starts nothing until it is switched on again."""
        return self.switch(request, slug, trigger)


class FireView(LaunchView):
    """Launch a manual run with a trigger's parameters."""

    required_permission: ClassVar = "triggers.fire_trigger"
    body_schema = FIRE

    def post(self, request: Request, slug: str, trigger: int) -> Response:
        """Launch a manual run with the parameters of a trigger; no slot is moved or used up by it."""
        found = find_trigger(request, slug, trigger)
        given = wire.body(request, self.body_schema).get("parameters", {})

        def make() -> Launched:
            launch.check(found.job, trigger=found)
            limits.take_of_trigger(found)
            cause = in_chain(request, causes.manual(**caller(request), parameters_of=found))
            wanted = launch.Request(parameters={**found.parameters, **given}, priority=found.priority)
            return launch.launch(found.job, cause=cause, request=wanted)

        return self.launched(request, make, message=f"Fired '{found.label}' of '{found.job.name}' by hand")


class RotateSecretView(Endpoint):
    """Replace the secret of an event trigger's address."""

    required_permission: ClassVar = "triggers.change_trigger"
    conditional: ClassVar = True
    body_schema = ROTATE
    answers: ClassVar = {200: RotatedSerializer}

    def post(self, request: Request, slug: str, trigger: int) -> Response:
        """Replace the secret of an event trigger's address; those before it stay valid for `grace_seconds`.

        The answer shows a secret that was made, this once.
        """
        body = wire.body(request, self.body_schema)
        given, grace = body.get("secret"), float(body.get("grace_seconds", secrets.GRACE_SECONDS))
        text = ""

        def rotate(found: Trigger) -> None:
            nonlocal text
            if found.kind != Kind.EVENT or found.source_id is not None:
                raise LaunchRefused(f"Trigger {found.pk} has no address of its own, and so no secret.")
            try:
                text = secrets.replace(found, secret=given, grace_seconds=grace)
            except secrets.InvalidSecret as error:
                raise InvalidBody([Fault(pointer="/secret", code="value", detail=str(error))]) from None

        found = held(request, slug, trigger, rotate)
        told = {"trigger": found.pk, "secret": text if given is None else None}
        return Response(RotatedSerializer({**told, "secrets": secrets_of(found)}).data)


def written(request: Request, trigger: Trigger, body: Mapping[str, Any], *, whole: bool) -> str | None:
    """Lays `body` on the trigger and stores it; returns the secret that was made for it, if one was.

    Raises VaultLocked, InvalidBody, InvalidParameters, NotFound and `triggers.dependencies.CircularDependency`.
    """
    trigger_bodies.lay(trigger, body, whole=whole)
    try:
        if trigger.kind == Kind.DEPENDENCY:
            given = trigger_bodies.upstreams(request, body)
            dependencies.save(trigger, upstreams=given or list(trigger.upstreams.all()))
            return None
        if trigger.kind == Kind.EVENT:
            event_bodies.lay_source(request, trigger, body, whole=whole)
        kept = trigger_bodies.calendars(body, whole=whole) if trigger.kind == Kind.SCHEDULE else None
        if trigger.kind == Kind.SCHEDULE:
            wanted = trigger_bodies.upstreams(request, body)
            known = list(trigger.upstreams.all()) if wanted is None and trigger.pk and not whole else []
            needed = known if wanted is None else wanted
            trigger_bodies.check_wait(body, needed)
            requirements.save(trigger, upstreams=needed)
        else:
            trigger.full_clean()
            trigger.save()
        if kept is not None:
            trigger.calendars.set(kept)
    except ValidationError as error:
        raise wire.refused(error) from None
    except dependencies.CircularDependency as error:
        raise hide(request, error) from None
    return event_bodies.settle_secret(trigger, body.get("secret")) if trigger.kind == Kind.EVENT else None


def held(request: Request, slug: str, number: int, act: Callable[[Trigger], None]) -> Trigger:
    """Does `act` with the trigger while nobody else can change it; raises NotFound and PreconditionFailed."""
    found = find_trigger(request, slug, number)
    with transaction.atomic():
        if found.kind in (Kind.DEPENDENCY, Kind.SCHEDULE):
            dependencies.lock()  # before the row, in the order in which everybody takes the two
        found = hold(request, found, version=attrgetter("version"), noun="trigger")
        act(found)
    return found


def answer(
    trigger: Trigger,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    secret: str | None = None,
) -> Response:
    """The trigger as it stands now, its version, and the secret that was made for it."""
    fresh = Trigger.objects.select_related("job").get(pk=trigger.pk)
    body = trigger_objects([fresh])[0] | ({"secret": secret} if secret or status == 201 else {})
    return Response(body, status=status, headers={**tag(fresh.version), **(headers or {})})
