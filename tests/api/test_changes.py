"""jobs.changes, jobs.auditing and triggers.reverting: the trail of changes, and taking one back."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from pghistory.models import Context
from pytest_django import Settings

from jobs import auditing, changes
from jobs.changes import Change
from jobs.models import Job
from notifications import channels
from notifications.models import Channel, Rule
from runs.models import Campaign
from tests.api.conftest import Program, problem, read
from tests.factories import (
    make_channel,
    make_dependency,
    make_event,
    make_job,
    make_owner,
    make_rule,
    make_run,
    make_schedule,
    make_source,
    make_user,
)
from triggers import keys, restoring, reverting
from triggers.models import ApiKey, Calendar, Source, Trigger

pytestmark = pytest.mark.django_db


def newest(obj: Any) -> Change:
    found = Change.objects.of(obj).select_related("context").first()
    assert found is not None
    return found


def test_every_way_to_change_a_job_is_noted_with_before_and_after() -> None:
    job = make_job(max_attempts=1)
    assert (newest(job).act, newest(job).title) == ("insert", job.name)
    Job.objects.filter(pk=job.pk).update(max_attempts=3)
    change = newest(job)
    assert (change.fields, change.before, change.after) == (
        ["max_attempts"],
        {"max_attempts": 1},
        {"max_attempts": 3},
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('pghistory.context_id', '', true)")  # as after this transaction
        cursor.execute("UPDATE jobs_job SET name = 'Raw' WHERE id = %s", [job.pk])
    assert newest(job).before == {"name": job.name}
    assert newest(job).by.startswith("raw SQL (")
    assert " from " in newest(job).by
    number = job.pk
    job.delete()
    last = Change.objects.filter(model="jobs.job", object_id=number).first()
    assert last is not None
    assert (last.act, last.after) == ("delete", None)


def test_what_only_the_machine_writes_is_no_change() -> None:
    trigger = make_schedule()
    key, _ = keys.issue(name="ci", owner=make_user())
    count = Change.objects.count()
    Trigger.objects.filter(pk=trigger.pk).update(next_run_at=timezone.now(), last_run_at=timezone.now())
    keys.touch(key, address="10.0.0.1", now=timezone.now())
    ApiKey.objects.filter(pk=key.pk).update(launches=7, former_calls=3)
    trigger.save()
    assert Change.objects.count() == count


def test_hashes_and_secret_parameters_are_dots() -> None:
    schema = {"properties": {"token": {"type": "string", "writeOnly": True}, "city": {"type": "string"}}}
    job = make_job(schema=schema, defaults={"token": "s3cret", "city": "Berlin", "other": "s3cret"})
    trigger = make_schedule(job, parameters={"token": "s3cret"})
    Trigger.objects.filter(pk=trigger.pk).update(parameters={"token": "another s3cret"})
    Job.objects.filter(pk=job.pk).update(configuration={"headers": {"X-Key": "s3cret"}, "url": "http://x"})
    key, _ = keys.issue(name="ci", owner=make_user())
    keys.rotate(key, overlap=timedelta(), now=timezone.now())
    kept = json.dumps(list(Change.objects.values("before", "after")), default=str)
    assert "s3cret" not in kept
    assert "Berlin" in kept
    assert ApiKey.objects.get().secret_hash not in kept
    assert "secret_hash" in newest(key).fields


def test_upstreams_calendars_and_lists_of_jobs_are_changes_of_their_owner() -> None:
    first = make_job()
    trigger = make_dependency(first)
    assert newest(trigger).after == {"upstreams": first.pk}
    key, _ = keys.issue(name="ci", owner=make_user(), jobs=[first])
    assert {"jobs": first.pk} in [change.after for change in Change.objects.of(key)]


def test_the_trail_can_not_be_changed() -> None:
    make_job()
    with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
        Change.objects.all().delete()


def test_a_person_at_the_admin_and_a_key_at_the_api_are_named(client: Client, program: Program) -> None:
    job = make_job()
    ada = make_owner(username="ada", is_staff=True)
    client.force_login(ada)
    client.post(f"/admin/jobs/job/{job.pk}/pause/", {"_confirmed": "yes", "reason": "rest"})
    change = newest(job)
    assert (change.by, change.facts["door"], change.facts["address"]) == ("ada", "admin", "127.0.0.1")
    assert change.facts["request_id"]
    trigger = job.triggers.get()
    address = f"/api/jobs/{job.slug}/triggers/{trigger.pk}/disable"
    assert program.call("PATCH", address, data=b"{}", content_type="application/json").status_code == 200
    assert newest(trigger).by == f"API key {program.key}"
    assert newest(trigger).facts["door"] == "API"


def test_without_a_request_the_kind_of_process_is_named() -> None:
    job = make_job()
    job.name = "By a command"
    job.save(update_fields=["name"])
    assert newest(job).facts["door"]
    assert "raw SQL" not in newest(job).by


def test_what_a_process_does_as_a_part_of_a_command_is_named_by_the_command() -> None:
    with auditing.part_of("up"):
        job = make_job()
    assert newest(job).by.startswith("command up (")


def test_the_secret_of_a_trigger_is_on_record_when_it_is_given_and_can_not_be_put_back(
    program: Program,
) -> None:
    trigger, _ = make_event()
    path = f"/api/jobs/{trigger.job.slug}/triggers/{trigger.pk}/rotate-secret"
    secret = read(program.post(path, {}))["secret"]
    change = newest(trigger)
    assert (change.verb, change.facts["door"], change.facts["path"]) == ("secrets added", "API", path)
    assert secret not in str(change.after)
    assert not reverting.is_revertible(change)
    with pytest.raises(restoring.RevertRefused, match="give the trigger another"):
        reverting.revert(change)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM triggers_secret WHERE trigger_id = %s", [trigger.pk])
    assert newest(trigger).verb == "secrets removed"


def test_a_change_is_taken_back_unless_the_field_was_changed_again() -> None:
    job = make_job(max_attempts=1)
    Job.objects.filter(pk=job.pk).update(max_attempts=3)
    change = newest(job)
    Job.objects.filter(pk=job.pk).update(max_attempts=4)
    with pytest.raises(restoring.RevertRefused, match="max_attempts was changed again since: it is 4 now"):
        reverting.revert(change)
    reverting.revert(newest(job))
    reverting.revert(change)
    job.refresh_from_db()
    assert job.max_attempts == 1


def test_zones_instants_and_limits_come_back_as_they_were() -> None:
    begin = timezone.now()
    schedule = make_schedule(timezone="Europe/Berlin", starts_at=begin, rate_limit="5/minute")
    Trigger.objects.filter(pk=schedule.pk).update(
        timezone="UTC", starts_at=None, rate_limit=None, cron="5 5 * * *"
    )
    reverting.revert(newest(schedule))
    schedule.refresh_from_db()
    assert (str(schedule.timezone), schedule.starts_at, schedule.rate_limit, schedule.cron) == (
        "Europe/Berlin",
        begin,
        "5/minute",
        "0 2 * * *",
    )


def test_what_can_not_be_taken_back_says_why() -> None:
    job = make_job()
    key, _ = keys.issue(name="ci", owner=make_user())
    ApiKey.objects.filter(pk=key.pk).update(scopes=["write"])
    with pytest.raises(restoring.RevertRefused, match="scopes can't be taken back"):
        reverting.revert(newest(key))
    ApiKey.objects.filter(pk=key.pk).update(name="other")
    renamed = newest(key)
    keys.revoke(key)
    with pytest.raises(restoring.RevertRefused, match="is revoked"):
        reverting.revert(renamed)
    Job.objects.filter(pk=job.pk).update(name="Other")
    change = newest(job)
    job.delete()
    with pytest.raises(restoring.RevertRefused, match="is gone"):
        reverting.revert(change)


def test_old_values_must_still_be_valid() -> None:
    schedule = make_schedule(cron="0 2 * * *")
    Trigger.objects.filter(pk=schedule.pk).update(cron="nonsense")
    Trigger.objects.filter(pk=schedule.pk).update(cron="0 3 * * *")
    with pytest.raises(restoring.RevertRefused, match="not valid any more"):
        reverting.revert(newest(schedule))


def test_the_page_shows_the_difference_and_takes_it_back(client: Client) -> None:
    client.force_login(make_owner(username="ada"))
    job = make_job(name="Before")
    Job.objects.filter(pk=job.pk).update(name="After it")
    page = client.get("/audit/", {"object": f"jobs.job:{job.pk}"}).content.decode()
    assert "<del>" in page
    assert "After it" in page
    answer = client.post(f"/audit/{newest(job).pk}/revert/", {"next": "/audit/"}, follow=True)
    assert "Took back the change of job" in answer.content.decode()
    job.refresh_from_db()
    assert job.name == "Before"
    assert newest(job).facts["reverts"]
    assert client.get("/audit/", {"by": "ada", "model": "jobs.job", "after": "999999999"}).status_code == 200


def test_who_may_not_change_a_thing_may_not_take_its_change_back(client: Client) -> None:
    person = make_user()
    person.user_permissions.add(Permission.objects.get(codename="view_change"))
    client.force_login(person)
    job = make_job()
    Job.objects.filter(pk=job.pk).update(name="Other")
    assert "Take back" not in client.get("/audit/").content.decode()
    assert client.post(f"/audit/{newest(job).pk}/revert/").status_code == 403
    keys.issue(name="not theirs", owner=make_owner())
    assert "not theirs" not in client.get("/audit/").content.decode()
    client.force_login(make_user())
    assert client.get("/audit/").status_code == 403


def test_the_api_lists_changes_and_takes_one_back(program: Program) -> None:
    job = make_job(name="Before")
    Job.objects.filter(pk=job.pk).update(name="Other")
    found = read(program.get("/api/audit", {"object": f"jobs.job:{job.pk}"}))["results"]
    assert [change["act"] for change in found] == ["update", "insert"]
    done = read(program.post(f"/api/audit/{found[0]['id']}/revert"))
    assert (done["after"], done["details"]["reverts"]) == ({"name": "Before"}, found[0]["id"])
    problem(program.post(f"/api/audit/{found[0]['id']}/revert"), 409, "refused")
    problem(program.get("/api/audit", {"colour": "red"}), 400, "invalid_query")


def last(model: str, number: int) -> Change:
    found = Change.objects.filter(model=model, object_id=number).select_related("context").first()
    assert found is not None
    return found


def test_what_was_made_goes_again_and_what_was_deleted_comes_back_as_it_was() -> None:
    schedule = make_schedule(make_job(), cron="5 5 * * *", timezone="Asia/Tokyo", parameters={"city": "Kobe"})
    calendar = Calendar.objects.create(name="nights", closed="22:00 to 06:00")
    schedule.calendars.add(calendar)
    number, public_id = schedule.pk, schedule.public_id
    made = Change.objects.get(
        model="triggers.trigger", object_id=number, act="insert", fields__contains=["cron"]
    )
    reverting.revert(made)
    assert not Trigger.objects.filter(pk=number).exists()
    deleted = Change.objects.get(
        model="triggers.trigger", object_id=number, act="delete", fields__contains=["cron"]
    )
    reverting.revert(deleted)
    again = Trigger.objects.get(pk=number)
    assert (again.public_id, again.cron, str(again.timezone), again.parameters) == (
        public_id,
        "5 5 * * *",
        "Asia/Tokyo",
        {"city": "Kobe"},
    )
    assert list(again.calendars.all()) == [calendar]
    with pytest.raises(restoring.RevertRefused, match="is there again"):
        reverting.revert(deleted)


def test_a_deleted_dependency_comes_back_with_its_upstreams_unless_that_closes_a_circle() -> None:
    first, second = make_job(slug="a"), make_job(slug="b")
    trigger = make_dependency(first, job=second)
    number = trigger.pk
    trigger.delete()
    deleted = Change.objects.get(
        model="triggers.trigger", object_id=number, act="delete", fields__contains=["cron"]
    )
    other = make_dependency(second, job=first)
    with pytest.raises(restoring.RevertRefused, match=" → a"):
        reverting.revert(deleted)
    other.delete()
    reverting.revert(deleted)
    assert list(Trigger.objects.get(pk=number).upstreams.all()) == [first]


def test_an_upstream_or_calendar_is_put_back_and_taken_off() -> None:
    one, two = make_job(), make_job()
    trigger = make_dependency(one, two)
    trigger.edges.filter(job=two).delete()
    removed = newest(trigger)
    assert (removed.verb, removed.before) == ("upstreams removed", {"upstreams": two.pk})
    reverting.revert(removed)
    assert set(trigger.upstreams.all()) == {one, two}
    with pytest.raises(restoring.RevertRefused, match="changed again since"):
        reverting.revert(removed)
    reverting.revert(newest(trigger))
    assert set(trigger.upstreams.all()) == {one}
    schedule, calendar = make_schedule(), Calendar.objects.create(name="nights", closed="22:00 to 06:00")
    schedule.calendars.add(calendar)
    reverting.revert(newest(schedule))
    assert not schedule.calendars.exists()


def test_what_is_in_use_or_held_secrets_stays_as_it_is() -> None:
    used = make_job()
    make_run(used)
    with pytest.raises(restoring.RevertRefused, match="is in use"):
        reverting.revert(newest(used))
    secret = make_job(
        schema={"properties": {"token": {"type": "string", "writeOnly": True}}}, defaults={"token": "x"}
    )
    number = secret.pk
    secret.delete()
    with pytest.raises(restoring.RevertRefused, match="held a secret"):
        reverting.revert(last("jobs.job", number))
    edited = make_job()
    made = newest(edited)
    Job.objects.filter(pk=edited.pk).update(name="Other")
    with pytest.raises(restoring.RevertRefused, match="was changed since"):
        reverting.revert(made)
    key, _ = keys.issue(name="ci", owner=make_user())
    reverting.revert(newest(key))
    key.refresh_from_db()
    assert key.revoked_at is not None
    with pytest.raises(restoring.RevertRefused, match="remote trigger"):
        reverting.revert(newest(used.triggers.get()))


def gone(model: str, number: int) -> Change:
    return Change.objects.get(model=model, object_id=number, act="delete")


def test_channels_and_rules_are_taken_back_and_secrets_are_not(settings: Settings) -> None:
    settings.EMAIL_IS_SET_UP = True
    channel = make_channel(name="ops", address="https://93.184.215.14/old")
    secret = channels.secret_of(channel)
    channels.save(channel, address="https://93.184.215.14/new")
    reverting.revert(newest(channel))
    channel.refresh_from_db()
    assert (channel.address, channels.secret_of(channel)) == ("https://93.184.215.14/old", secret)
    channels.replace_secret(channel)
    assert not reverting.is_revertible(newest(channel))
    with pytest.raises(restoring.RevertRefused, match="the one before is not kept"):
        reverting.revert(newest(channel))
    rule = make_rule("failed", channel=channel, tag="nightly")
    Rule.objects.filter(pk=rule.pk).update(occasions=["recovered"])
    reverting.revert(newest(rule))
    rule.refresh_from_db()
    assert rule.occasions == ["failed"]
    fresh = make_channel(name="fresh")
    make_rule(channel=fresh)
    with pytest.raises(restoring.RevertRefused, match="Rules tell the channel fresh something"):
        reverting.revert(newest(fresh))
    fresh.rules.all().delete()
    reverting.revert(newest(fresh))
    assert not Channel.objects.filter(pk=fresh.pk).exists()
    numbers = channel.pk, rule.pk
    channel.delete()
    reverting.revert(gone("notifications.channel", numbers[0]))
    reverting.revert(gone("notifications.rule", numbers[1]))
    again = Channel.objects.get(pk=numbers[0])
    assert (again.address, again.is_enabled, channels.secret_of(again)) == (channel.address, False, "")
    assert Rule.objects.get(pk=numbers[1]).channel == again
    assert secret not in json.dumps(list(Change.objects.values("before", "after")), default=str)
    mail = make_channel("email", "ops@example.org")
    number = mail.pk
    mail.delete()
    reverting.revert(gone("notifications.channel", number))
    assert Channel.objects.get(pk=number).is_enabled


def test_sources_are_taken_back_and_their_secrets_are_not(settings: Settings, tmp_path: Path) -> None:
    settings.WATCH_ROOTS = [str(tmp_path)]
    source = make_source(options={"path": str(tmp_path)}, name="inbox")
    Source.objects.filter(pk=source.pk).update(interval_seconds=600)
    reverting.revert(newest(source))
    source.refresh_from_db()
    assert source.interval_seconds == 30
    number = source.pk
    source.delete()
    reverting.revert(gone("triggers.source", number))
    assert Source.objects.get(pk=number).enabled
    Source.objects.filter(pk=number).update(secret_set_at=timezone.now(), sealed="xyz", key_id="1")
    with pytest.raises(restoring.RevertRefused, match="the one before is not kept"):
        reverting.revert(last("triggers.source", number))
    Source.objects.get(pk=number).delete()
    reverting.revert(last("triggers.source", number))
    again = Source.objects.get(pk=number)
    assert (again.enabled, again.sealed, again.secret_set_at) == (False, "", None)


def test_who_may_not_delete_a_thing_may_not_take_its_making_back(client: Client) -> None:
    person = make_user()
    for codename in ("view_change", "change_trigger"):
        person.user_permissions.add(Permission.objects.get(codename=codename))
    client.force_login(person)
    schedule = make_schedule()
    assert client.post(f"/audit/{newest(schedule).pk}/revert/").status_code == 403
    person.user_permissions.add(Permission.objects.get(codename="delete_trigger"))
    answer = client.post(f"/audit/{newest(schedule).pk}/revert/", {"next": "/audit/"}, follow=True)
    assert "Took back the change of trigger nightly: made no more." in answer.content.decode()
    assert not Trigger.objects.filter(pk=schedule.pk).exists()


def test_acts_on_lanes_and_campaigns_are_noted_and_progress_is_not(client: Client) -> None:
    client.force_login(make_owner(username="ada"))
    client.post("/queues/bulk/pause/", {"reason": "too much"})
    paused = last("runs.lane", 3)
    assert (paused.title, paused.by, paused.after and paused.after["paused_reason"]) == (
        "bulk",
        "ada",
        "too much",
    )
    campaign = Campaign.objects.create(job=make_job(), name="May", cause="ordered by ada")
    Campaign.objects.filter(pk=campaign.pk).update(status="expanding")
    assert last("runs.campaign", campaign.pk).act == "insert"
    Campaign.objects.filter(pk=campaign.pk).update(rate_per_second=5.0)
    assert last("runs.campaign", campaign.pk).after == {"rate_per_second": 5}
    assert "Take back" not in client.get("/audit/", {"model": "runs.campaign"}).content.decode()
    with pytest.raises(restoring.RevertRefused, match="done to a campaign"):
        reverting.revert(last("runs.campaign", campaign.pk))


def test_the_oldest_changes_go_and_what_is_known_of_their_requests(client: Client) -> None:
    client.force_login(make_owner(username="ada"))
    client.post("/queues/bulk/pause/", {"reason": "too much"})
    contexts, count = Context.objects.count(), Change.objects.count()
    assert changes.prune(before=timezone.now() - timedelta(days=1)) == 0
    assert Change.objects.count() == count
    assert changes.prune(before=timezone.now() + timedelta(seconds=1)) == count
    assert not Change.objects.exists()
    assert Context.objects.count() < contexts
    make_job()
    with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
        Change.objects.all().delete()
