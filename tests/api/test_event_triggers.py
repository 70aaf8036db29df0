"""Event triggers over the API: made with a secret that is shown once, changed, rotated; and their inbox."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from runs.models import Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.api.test_events import ORDER, send
from tests.factories import make_event, make_job, make_schedule, make_user
from triggers.models import Delivery, Reaction, Secret, Trigger

pytestmark = pytest.mark.django_db


def triggers_of(trigger: Trigger) -> str:
    return f"/api/jobs/{trigger.job.slug}/triggers/{trigger.pk}"


class TestMaking:
    def test_a_secret_is_made_and_shown_once(self, program: Program) -> None:
        job = make_job()
        body = {"kind": "event", "name": "orders", "scheme": "standard", "events": ["order.paid"]}
        answer = program.post(f"/api/jobs/{job.slug}/triggers", body)
        made = read(answer, 201)
        assert made["secret"].startswith("whsec_")
        assert made["address"].endswith(f"/api/events/{made['public_id']}")
        trigger = Trigger.objects.get(pk=made["id"])
        assert read(send(trigger, made["secret"], {"type": "order.paid"}), 202)["runs"]
        again = program.get(answer["Location"]).content.decode()
        assert made["secret"] not in again
        assert "secret" not in json.loads(again)
        assert [each["expires_at"] for each in json.loads(again)["secrets"]] == [None]

    def test_a_secret_that_the_sender_gave_is_taken_and_not_shown(self, program: Program) -> None:
        body = {"kind": "event", "scheme": "github", "secret": "It's a Secret to Everybody"}
        answer = program.post(f"/api/jobs/{make_job().slug}/triggers", body)
        read(answer, 201)
        assert "Everybody" not in answer.content.decode()

    def test_a_trigger_may_hear_of_another_s_address(self, program: Program) -> None:
        trigger, secret = make_event()
        made = read(
            program.post(f"/api/jobs/{make_job().slug}/triggers", {"kind": "event", "source": trigger.pk}),
            201,
        )
        assert (made["source"], made["scheme"], made["address"], made["secrets"]) == (
            trigger.pk,
            None,
            None,
            [],
        )
        assert len(read(send(trigger, secret), 202)["runs"]) == 2
        problem(program.call("DELETE", triggers_of(trigger)), 409, "refused")
        listener = Trigger.objects.get(pk=made["id"])
        assert program.call("DELETE", triggers_of(listener)).status_code == 204
        assert program.call("DELETE", triggers_of(trigger)).status_code == 204

    def test_what_was_read_can_be_sent_back(self, program: Program) -> None:
        trigger, secret = make_event(filter={"at": "/type", "exists": True}, mapping={"x": "/type"})
        known = read(program.get(triggers_of(trigger)))
        answer = program.call(
            "PUT", triggers_of(trigger), data=json.dumps(known).encode(), content_type="application/json"
        )
        assert {**read(answer), "updated_at": 0} == {**known, "updated_at": 0}
        assert read(send(trigger, secret), 202)

    @pytest.mark.parametrize(
        ("changed", "pointer"),
        [
            ({"scheme": "carrier pigeon"}, "/scheme"),
            ({"scheme": ""}, "/scheme"),
            ({"scheme_options": {"algorithm": "md5"}}, "/scheme_options"),
            ({"scheme_options": {"header": "X Y"}}, "/scheme_options"),
            ({"scheme_options": {"colour": 1}}, "/scheme_options"),
            ({"secret": "short"}, "/secret"),
            ({"source": 10**9}, "/source"),
            ({"filter": {"at": "x", "equals": 1}}, "/filter"),
            ({"filter": {"at": "/x"}}, "/filter"),
            ({"mapping": {"x": "y"}}, "/mapping"),
            ({"events": [""]}, "/events/0"),
            ({"events": ["x"] * 51}, "/events"),
            ({"parent_pointer": "run"}, "/parent_pointer"),
            ({"debounce_pointer": "~"}, "/debounce_pointer"),
            ({"debounce_seconds": -1}, "/debounce_seconds"),
            ({"debounce_limit": 0}, "/debounce_limit"),
            ({"cron": "* * * * *"}, "/cron"),
        ],
    )
    def test_what_is_wrong_is_a_400_that_names_it(
        self, program: Program, changed: dict[str, Any], pointer: str
    ) -> None:
        body = {"kind": "event", "scheme": "hmac", **changed}
        told = problem(program.post(f"/api/jobs/{make_job().slug}/triggers", body), 400, "invalid_body")
        assert [error["pointer"] for error in told["errors"]] == [pointer]
        assert "short" not in json.dumps(told)
        assert not Trigger.objects.filter(kind="event").exists()

    def test_a_trigger_that_hears_of_another_has_neither_scheme_nor_secret(self, program: Program) -> None:
        trigger, _ = make_event()
        schedule = make_schedule()
        path = f"/api/jobs/{make_job().slug}/triggers"
        for wrong in ({"scheme": "hmac"}, {"secret": "long enough"}):
            problem(program.post(path, {"kind": "event", "source": trigger.pk, **wrong}), 400, "invalid_body")
        problem(program.post(path, {"kind": "event", "source": schedule.pk}), 400, "invalid_body")

    def test_a_key_knows_no_addresses_of_jobs_it_may_not_see(self, new_key: NewKey) -> None:
        (trigger, _), job = make_event(), make_job()
        body = {"kind": "event", "source": trigger.pk}
        problem(new_key(jobs=(job,)).post(f"/api/jobs/{job.slug}/triggers", body), 400, "invalid_body")


class TestRotating:
    def test_the_former_secret_stays_valid_for_a_time(self, program: Program) -> None:
        trigger, old = make_event()
        told = read(program.post(f"{triggers_of(trigger)}/rotate-secret", {}))
        assert [each["expires_at"] is None for each in told["secrets"]] == [True, False]
        for secret in (old, told["secret"]):
            read(send(trigger, secret), 202)
        Secret.objects.filter(expires_at__isnull=False).update(expires_at="2020-01-01T00:00:00Z")
        problem(send(trigger, old), 401, "invalid_signature")
        read(send(trigger, told["secret"]), 202)

    def test_without_a_grace_it_ends_at_once(self, program: Program) -> None:
        trigger, old = make_event()
        body = {"secret": "another secret", "grace_seconds": 0}
        told = read(program.post(f"{triggers_of(trigger)}/rotate-secret", body))
        assert told["secret"] is None
        problem(send(trigger, old), 401, "invalid_signature")
        read(send(trigger, "another secret"), 202)

    def test_what_has_no_address_has_no_secret(self, program: Program) -> None:
        problem(program.post(f"{triggers_of(make_schedule())}/rotate-secret", {}), 409, "refused")


class TestInbox:
    def test_each_delivery_is_listed_with_what_became_of_it(self, program: Program) -> None:
        trigger, secret = make_event()
        send(trigger, secret)
        send(trigger, "another secret")
        refused, taken = read(program.get("/api/deliveries"))["results"]
        assert (refused["verdict"], refused["reactions"]) == ("refused", [])
        assert (taken["verdict"], taken["event"], taken["job"]) == (
            "accepted",
            "order.paid",
            trigger.job.slug,
        )
        assert taken["reactions"][0]["run"] == Run.objects.get().pk
        found = read(program.get("/api/deliveries", {"verdict": "accepted", "trigger": str(trigger.pk)}))
        assert [each["id"] for each in found["results"]] == [taken["id"]]
        for query in ({"verdict": "nice"}, {"trigger": "x"}, {"trigger": "0"}, {"colour": "red"}):
            problem(program.get("/api/deliveries", query), 400, "invalid_query")

    def test_headers_and_body_are_shown_without_secrets(self, program: Program) -> None:
        schema = {"properties": {"pin": {"type": "string", "format": "password"}}}
        trigger, secret = make_event(make_job(schema=schema), scheme="token", mapping={"pin": "/card/code"})
        send(trigger, secret, {"card": {"code": "4321"}, "access_token": "hunter2", "n": 1}, Cookie="a=b")
        shown = program.get(f"/api/deliveries/{Delivery.objects.get().pk}")
        body = json.loads(read(shown)["body"])
        assert body == {"card": {"code": "••••••"}, "access_token": "••••••", "n": 1}
        assert read(shown)["headers"]["authorization"] == "••••••"
        assert "cookie" not in read(shown)["headers"]
        for word in ("4321", "hunter2", secret):
            assert word not in shown.content.decode()

    def test_a_delivery_is_replayed_to_all_or_to_one(self, program: Program) -> None:
        trigger, secret = make_event(enabled=False)
        other = Trigger.objects.create(job=make_job(), kind="event", source=trigger)
        send(trigger, secret)
        Trigger.objects.filter(pk=trigger.pk).update(enabled=True)
        path = f"/api/deliveries/{Delivery.objects.get().pk}/replay"
        told = read(program.post(path, {"trigger": trigger.pk}), 202)
        assert [entry["trigger"] for entry in told["runs"]] == [trigger.pk]
        assert Run.objects.first().cause.endswith(f"replayed by API key ci-bot (hw_{program.key.public_id})")  # type: ignore[union-attr]
        assert [entry["trigger"] for entry in read(program.post(path), 202)["runs"]] == [trigger.pk, other.pk]
        assert Reaction.objects.exclude(by="").count() == 3
        problem(program.post(path, {"trigger": 10**9}), 409, "refused")

    def test_what_was_refused_can_not_be_replayed(self, program: Program) -> None:
        trigger, _ = make_event()
        send(trigger, "another secret")
        problem(program.post(f"/api/deliveries/{Delivery.objects.get().pk}/replay"), 409, "refused")

    @pytest.mark.parametrize("scheme", ["standard", "github", "gitlab", "slack", "hmac", "token"])
    def test_a_test_is_signed_as_its_sender_would(self, program: Program, scheme: str) -> None:
        trigger, _ = make_event(scheme=scheme)
        told = read(program.post(f"{triggers_of(trigger)}/test", {}), 202)
        assert told["runs"][0]["trigger"] == trigger.pk
        assert Delivery.objects.get().is_test
        told = read(program.post(f"{triggers_of(trigger)}/test", {"payload": [1]}), 202)
        assert bytes(Delivery.objects.get(pk=told["delivery"]).body) == b"[1]"

    def test_a_trigger_s_history_are_its_deliveries(self, program: Program) -> None:
        trigger, secret = make_event(events=["order.paid"])
        send(trigger, secret)
        send(trigger, secret, {"type": "order.lost"})
        lost, paid = read(program.get(f"{triggers_of(trigger)}/history"))["results"]
        assert (paid["outcome"], paid["run"]) == ("fired", Run.objects.get().pk)
        assert (lost["outcome"], lost["run"]) == ("skipped", None)
        assert lost["delivery"] == Delivery.objects.latest("pk").pk
        assert "order.lost" in lost["reason"]

    def test_a_key_sees_only_the_deliveries_and_reactions_of_its_jobs(self, new_key: NewKey) -> None:
        trigger, secret = make_event()
        hidden = Trigger.objects.create(job=make_job(), kind="event", source=trigger)
        send(trigger, secret)
        number = Delivery.objects.get().pk
        shown = read(new_key(jobs=(trigger.job,)).get(f"/api/deliveries/{number}"))
        assert [each["trigger"] for each in shown["reactions"]] == [trigger.pk]
        told = read(new_key(jobs=(trigger.job,)).post(f"/api/deliveries/{number}/replay"), 202)
        assert [each["trigger"] for each in told["runs"]] == [trigger.pk]
        stranger = new_key(jobs=(hidden.job,))
        problem(stranger.get(f"/api/deliveries/{number}"), 404, "not_found")
        assert read(stranger.get("/api/deliveries"))["results"] == []

    def test_people_need_the_permission_to_see_or_to_fire(self) -> None:
        trigger, secret = make_event()
        send(trigger, secret)
        number = Delivery.objects.get().pk
        user = make_user()
        client = Client()
        client.force_login(user)
        assert client.get("/api/deliveries").status_code == 403
        for codename in ("view_delivery", "view_trigger"):
            user.user_permissions.add(Permission.objects.get(codename=codename))
        assert client.get(f"/api/deliveries/{number}").status_code == 200
        assert client.post(f"/api/deliveries/{number}/replay").status_code == 403


def test_runs_can_be_found_by_their_event_trigger(program: Program) -> None:
    trigger, secret = make_event()
    send(trigger, secret, ORDER)
    for query in ({"trigger": "event"}, {"trigger_id": str(trigger.pk)}):
        (run,) = read(program.get("/api/runs", query))["results"]
        assert (run["trigger"], run["trigger_id"], run["trigger_name"]) == ("event", trigger.pk, "orders")
