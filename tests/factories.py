"""The cast of objects that tests share: each made with as little as the database asks for."""

from itertools import count
from typing import Any

from django.contrib.auth.models import User

from jobs.models import Job
from notifications import channels
from notifications.models import Channel, Rule
from runs import causes, launch, lifecycle, workers
from runs.claims import Claim, Wish
from runs.models import Run, WorkerProcess
from triggers import dependencies, watching
from triggers.events import secrets
from triggers.models import Kind, Source, Trigger

_numbers = count(1)


def make_user(**fields: Any) -> User:
    """A person who may do nothing but be logged in."""
    number = next(_numbers)
    return User.objects.create_user(**{"username": f"person-{number}", "password": "long enough 1", **fields})


def make_owner(**fields: Any) -> User:
    """A person who may do everything, and so may a key of theirs."""
    return make_user(is_superuser=True, **fields)


def make_job(**fields: Any) -> Job:
    """A `command` job that prints one line."""
    number = next(_numbers)
    given: dict[str, Any] = {
        "slug": f"job-{number}",
        "name": f"Job {number}",
        "executor": "command",
        "configuration": {"argv": ["python", "-c", "print('done')"]},
        "retry_first_delay_seconds": 0,
        "retry_longest_delay_seconds": 0,
        **fields,
    }
    return Job.objects.create(**given)


def make_schedule(job: Job | None = None, **fields: Any) -> Trigger:
    """A schedule that fires daily at 02:00 UTC."""
    return Trigger.objects.create(
        **{"job": job or make_job(), "kind": Kind.SCHEDULE, "cron": "0 2 * * *", "name": "nightly", **fields}
    )


def make_dependency(*upstreams: Job, job: Job | None = None, **fields: Any) -> Trigger:
    """A dependency that fires when one of `upstreams` has succeeded."""
    trigger = Trigger(**{"job": job or make_job(), "condition": "on_success", "name": "next", **fields})
    dependencies.save(trigger, upstreams=upstreams or (make_job(),))
    return trigger


def make_event(job: Job | None = None, *, secret: str | None = None, **fields: Any) -> tuple[Trigger, str]:
    """An event trigger with an address of its own, by HMAC unless told; and its secret."""
    given: dict[str, Any] = {"scheme": "hmac", "name": "orders", **fields}
    trigger = Trigger(job=job or make_job(), kind=Kind.EVENT, **given)
    trigger.full_clean()
    trigger.save()
    return trigger, secrets.replace(trigger, secret=secret)


def make_channel(
    kind: str = "webhook", address: str = "https://93.184.215.14/hook", **fields: Any
) -> Channel:
    """A channel, a webhook on the open internet unless told."""
    channel = Channel(**{"name": f"channel-{next(_numbers)}", "kind": kind, **fields})
    channels.save(channel, address=address)
    return channel


def make_rule(*occasions: str, channel: Channel | None = None, **fields: Any) -> Rule:
    """A rule that tells a channel of these occasions of every job, each at once."""
    given: dict[str, Any] = {"channel": channel or make_channel(), "quiet_minutes": 0, **fields}
    return Rule.objects.create(occasions=occasions or ["failed", "recovered"], **given)


def make_run(job: Job | None = None, **request: Any) -> Run:
    """A run somebody started by hand."""
    return launch.launch(
        job or make_job(), cause=causes.manual(), request=launch.Request(**request) if request else None
    ).run


def make_slot(*, lanes: tuple[str, ...] = ("high", "default", "bulk")) -> WorkerProcess:
    """A slot of a live worker that is nobody: tests claim in its name."""
    worker_id = workers.register(name="worker@test", pid=1, lanes=lanes, concurrency=1)
    return WorkerProcess.objects.create(worker_id=worker_id, pid=1)


def claim(slot: WorkerProcess, *, lane: str = "high", limit: int = 1) -> list[Claim]:
    """What `slot` gets of the lane."""
    return lifecycle.claim(Wish(lane=lane, limit=limit, process_id=slot.pk, worker="worker@test:1"))


def claim_one(slot: WorkerProcess, *, lane: str = "high") -> Claim:
    """The one run that `slot` gets of the lane; fails if there is none."""
    (claimed,) = claim(slot, lane=lane)
    return claimed


def make_source(
    kind: str = "folder", *, trigger: Trigger | None = None, secret: str | None = None, **fields: Any
) -> Source:
    """A source that is polled for an event trigger of its own; `options` are those of its kind."""
    if trigger is None:
        trigger = Trigger.objects.create(job=make_job(), kind=Kind.EVENT, scheme="poll", name="arrivals")
    source = Source(trigger=trigger, kind=kind, **{"name": f"source-{next(_numbers)}", **fields})
    watching.save(source, secret=secret)
    return source
