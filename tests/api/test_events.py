"""runs.api.events and runs.deliveries: what comes to an event trigger's address, and what becomes of it."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as few
from hypothesis import strategies as st
from pytest_django import Settings

from jobs import pausing
from jobs.expectations import MASK
from runs import batches, deliveries, reactions
from runs.models import Run
from runs.status import Status
from tests.api.conftest import problem, read
from tests.factories import make_event, make_job, make_run
from triggers.events import schemes
from triggers.models import Batch, Delivery, Reaction, Trigger

pytestmark = pytest.mark.django_db

ORDER = {"type": "order.paid", "order": {"id": 4711, "total": "19.90"}}
NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "additionalProperties": False}


def address(trigger: Trigger) -> str:
    return f"/api/events/{trigger.public_id}"


def signed(trigger: Trigger, secret: str, body: bytes, *, key: str = "") -> dict[str, str]:
    options = schemes.complete(trigger.scheme, trigger.scheme_options)
    scheme = schemes.SCHEMES[trigger.scheme]
    return scheme.sign(body, secret=secret, key=key or str(uuid.uuid4()), at=timezone.now(), options=options)


def post(path: str, body: bytes, headers: Mapping[str, str], kind: str = "application/json") -> HttpResponse:
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    answer: Any = client.generic("POST", path, data=body, content_type=kind, headers=dict(headers))
    return answer  # type: ignore[no-any-return]


def send(
    trigger: Trigger,
    secret: str,
    payload: Any = ORDER,
    *,
    key: str = "",
    to: Trigger | None = None,
    **more: Any,
) -> HttpResponse:
    """Sends a payload as the trigger's sender would; `to` another address."""
    body = json.dumps(payload).encode()
    return post(address(to or trigger), body, {**signed(trigger, secret, body, key=key), **more})


@pytest.mark.parametrize("scheme", sorted(schemes.SCHEMES))
def test_a_signed_delivery_starts_a_run_that_names_it(scheme: str) -> None:
    trigger, secret = make_event(scheme=scheme)
    told = read(send(trigger, secret), 202)
    run = Run.objects.get()
    assert told["runs"] == [{"trigger": trigger.pk, "job": trigger.job.slug, "run": run.pk, "reason": None}]
    assert (told["skipped"], told["waiting"]) == ([], [])
    assert (run.trigger_kind, run.trigger, run.status, run.lane) == ("event", trigger, "queued", "high")
    assert run.name.startswith("triggered_")
    assert run.cause.startswith("Event")
    assert run.cause.endswith(f"delivery {told['delivery']}")
    assert run.context["delivery"] == told["delivery"]
    entry = Delivery.objects.get(pk=told["delivery"])
    assert (entry.verdict, entry.size, bytes(entry.body)) == (
        "accepted",
        len(json.dumps(ORDER)),
        json.dumps(ORDER).encode(),
    )
    assert secret not in json.dumps(entry.headers)


def test_the_example_of_github_s_documentation_is_taken_over_http() -> None:
    trigger, _ = make_event(scheme="github", secret="It's a Secret to Everybody")
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"X-Hub-Signature-256": signature, "X-GitHub-Event": "ping"}
    told = read(post(address(trigger), b"Hello, World!", headers, "text/plain"), 202)
    assert told["skipped"][0]["reason"] == "The event 'ping' only says that the address works."


def test_parameters_come_from_the_payload() -> None:
    job = make_job(schema=NUMBER)
    trigger, secret = make_event(job, mapping={"number": "/order/id"})
    send(trigger, secret)
    assert Run.objects.get().parameters == {"number": 4711}


def test_a_push_gives_its_branch_and_paths() -> None:
    trigger, secret = make_event(
        make_job(schema={"additionalProperties": True}),
        scheme="github",
        events=["push"],
        filter={"all": [{"at": "/$/branch", "equals": "main"}, {"at": "/$/paths", "like": "src/*"}]},
        mapping={"branch": "/$/branch", "paths": "/$/paths", "event": "/$/headers/x-github-event"},
    )
    send(trigger, secret, schemes.SCHEMES["github"].sample)
    expected = {"branch": "main", "paths": ["docs/a.md", "src/app.py"], "event": "push"}
    assert Run.objects.get().parameters == expected
    told = read(send(trigger, secret, {**schemes.SCHEMES["github"].sample, "ref": "refs/heads/dev"}), 202)
    assert told["skipped"][0]["reason"] == '\'/$/branch\' is "dev"; expected: /$/branch is "main".'


def test_what_does_not_fit_the_job_s_schema_is_the_delivery_s_verdict_and_no_error() -> None:
    trigger, secret = make_event(make_job(schema=NUMBER), mapping={"number": "/order/total"})
    told = read(send(trigger, secret), 202)
    assert "19.90" in told["skipped"][0]["reason"]
    missing = read(send(trigger, secret, {"type": "x"}), 202)
    assert missing["skipped"][0]["reason"].startswith(
        "Parameter 'number': There is no value at '/order/total'"
    )
    assert Reaction.objects.filter(outcome="skipped", run_id=None).count() == 2


def test_a_repeated_delivery_is_given_the_first_answer_and_starts_nothing() -> None:
    trigger, secret = make_event(scheme="standard")
    first = read(send(trigger, secret, key="msg_1"), 202)
    again = read(send(trigger, secret, key="msg_1"), 200)
    assert again == first
    assert read(send(trigger, secret, key="msg_2"), 202) != first
    assert Run.objects.count() == 2
    assert Delivery.objects.get(key="msg_1").repeats == 1


def test_ids_belong_to_the_address_they_were_sent_to() -> None:
    (one, secret), (two, other) = make_event(), make_event()
    read(send(one, secret, key="1"), 202)
    read(send(two, other, key="1"), 202)
    assert Run.objects.count() == 2


def test_a_very_long_id_is_known_again() -> None:
    trigger, secret = make_event()
    read(send(trigger, secret, key="x" * 5000), 202)
    read(send(trigger, secret, key="x" * 5000), 200)
    read(send(trigger, secret, key="x" * 5001), 202)


@pytest.mark.parametrize("scheme", sorted(schemes.SCHEMES))
def test_a_wrong_signature_is_a_401_and_is_remembered_without_its_body(scheme: str) -> None:
    trigger, secret = make_event(scheme=scheme)
    body = json.dumps(ORDER).encode()
    for headers in ({}, signed(trigger, schemes.SCHEMES[scheme].new_secret(), body)):
        told = problem(post(address(trigger), body, headers), 401, "invalid_signature")
        assert secret not in json.dumps(told)
    entry = Delivery.objects.first()
    assert entry is not None
    assert (entry.verdict, bytes(entry.body), entry.key) == ("refused", b"", None)
    assert not Run.objects.exists()


def test_a_refused_delivery_does_not_take_the_id_of_a_good_one() -> None:
    trigger, secret = make_event()
    problem(send(trigger, "another secret", key="1"), 401, "invalid_signature")
    read(send(trigger, secret, key="1"), 202)


def test_a_flood_of_refused_deliveries_does_not_fill_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "REFUSED_AN_HOUR", 3)
    trigger, _ = make_event()
    for _ in range(5):
        problem(send(trigger, "another secret"), 401, "invalid_signature")
    assert Delivery.objects.count() == 3


def test_what_is_signed_but_can_not_be_read_is_a_400() -> None:
    trigger, secret = make_event()
    told = problem(post(address(trigger), b"{", signed(trigger, secret, b"{")), 400, "unreadable_event")
    assert "not JSON" in told["detail"]
    assert Delivery.objects.get().verdict == "unreadable"


def test_slack_s_challenge_is_answered_and_starts_nothing() -> None:
    trigger, secret = make_event(scheme="slack")
    asked = {"type": "url_verification", "challenge": "3eZbrw1aB", "token": "Jhj5dZrV"}
    assert read(send(trigger, secret, asked), 200) == {"challenge": "3eZbrw1aB"}
    problem(send(trigger, "another secret", asked), 401, "invalid_signature")
    assert not Run.objects.exists()


@pytest.mark.parametrize("number", ["00000000-0000-0000-0000-000000000000", "x", "1"])
def test_an_address_of_no_event_trigger_is_a_404(number: str) -> None:
    problem(post(f"/api/events/{number}", b"{}", {}), 404, "not_found")
    remote = make_job().triggers.get(kind="remote")
    problem(post(address(remote), b"{}", {}), 404, "not_found")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    trigger, secret = make_event()
    problem(send(trigger, secret, {"x": "y" * 100}), 413, "body_too_large")
    assert not Delivery.objects.exists()


def test_without_the_vault_s_key_nothing_is_accepted(settings: Settings) -> None:
    trigger, secret = make_event()
    settings.VAULT_KEYS = []
    problem(send(trigger, secret), 503, "vault_locked")


def test_a_disabled_trigger_and_a_paused_job_say_so_in_the_inbox() -> None:
    trigger, secret = make_event(enabled=False)
    told = read(send(trigger, secret), 202)
    assert told["skipped"][0]["reason"] == "The trigger is disabled."
    Trigger.objects.filter(pk=trigger.pk).update(enabled=True)
    pausing.pause(trigger.job, by="ada", reason="maintenance", until=None)
    told = read(send(trigger, secret), 202)
    run = Run.objects.get()
    assert (run.status, told["skipped"][0]["run"]) == (Status.SKIPPED, run.pk)
    assert "maintenance" in told["skipped"][0]["reason"]


def test_several_triggers_hear_of_one_address() -> None:
    trigger, secret = make_event(events=["order.paid"])
    other = Trigger(job=make_job(), kind="event", source=trigger, events=["order.lost"])
    other.full_clean()
    other.save()
    third = Trigger.objects.create(job=make_job(), kind="event", source=trigger)
    told = read(send(trigger, secret), 202)
    assert [entry["trigger"] for entry in told["runs"]] == [trigger.pk, third.pk]
    assert told["skipped"][0]["reason"] == "The event is 'order.paid'; expected one of order.lost."
    problem(send(trigger, secret, to=other), 404, "not_found")


def test_a_trigger_that_can_not_be_evaluated_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trigger, secret = make_event()
    other = Trigger.objects.create(job=make_job(), kind="event", source=trigger)
    fire = reactions._fire

    def break_first(reaction: Reaction, *rest: Any, **options: Any) -> None:
        if reaction.trigger_id == trigger.pk:
            raise ZeroDivisionError("half a wish")
        fire(reaction, *rest, **options)

    monkeypatch.setattr(reactions, "_fire", break_first)
    told = read(send(trigger, secret), 202)
    assert told["skipped"][0]["reason"] == "ZeroDivisionError: half a wish"
    assert told["runs"][0]["trigger"] == other.pk


def test_an_event_that_a_run_caused_is_part_of_its_chain_and_can_not_loop(settings: Settings) -> None:
    settings.HOP_LIMIT = 2
    trigger, secret = make_event(parent_pointer="/from")
    run = make_run()
    send(trigger, secret, {"from": run.pk})
    child = Run.objects.get(parent=run)
    assert (child.root_id, child.hops) == (run.pk, 1)
    named: dict[str, Any] = {"Headway-Run": child.name}
    send(trigger, secret, {}, **named)
    grandchild = Run.objects.get(parent=child)
    told = read(send(trigger, secret, {"from": str(grandchild.pk)}), 202)
    assert "looks like a loop" in told["skipped"][0]["reason"]
    read(send(trigger, secret, {"from": {"no": "run"}}), 202)


class TestGathering:
    @pytest.fixture
    def gathering(self) -> tuple[Trigger, str]:
        job = make_job(schema={"additionalProperties": True})
        return make_event(
            job,
            debounce_seconds=60,
            debounce_limit=3,
            debounce_pointer="/customer",
            mapping={"all": "/$/deliveries", "count": "/$/count", "last": "/n"},
        )

    def test_deliveries_of_a_key_become_one_run_when_none_has_come_for_a_while(
        self, gathering: tuple[Trigger, str]
    ) -> None:
        for n in (1, 2):
            assert read(send(*gathering, {"customer": "a", "n": n}), 202)["waiting"]
        send(*gathering, {"customer": "b", "n": 3})
        assert reactions.fire_batches() == 0
        assert not Run.objects.exists()
        Batch.objects.filter(key="a").update(opened_at=timezone.now(), due_at=timezone.now())
        assert reactions.fire_batches() == 1
        run = Run.objects.get()
        payloads = [{"customer": "a", "n": 1}, {"customer": "a", "n": 2}]
        assert run.parameters == {"all": payloads, "count": 2, "last": 2}
        assert run.cause.startswith("2 events at orders, deliveries ")
        assert list(Reaction.objects.values_list("outcome", "run_id")) == [
            ("fired", run.pk), ("fired", run.pk), ("pending", None),
        ]  # fmt: skip
        assert reactions.fire_batches() == 0

    def test_enough_of_them_start_the_run_at_once(self, gathering: tuple[Trigger, str]) -> None:
        answers = [read(send(*gathering, {"customer": "a", "n": n}), 202) for n in range(4)]
        run = Run.objects.get()
        assert run.parameters["count"] == 3
        assert answers[2]["runs"][0]["run"] == run.pk
        assert answers[3]["waiting"]
        assert Batch.objects.get().count == 1

    def test_each_delivery_makes_it_wait_anew_but_not_for_ever(self, gathering: tuple[Trigger, str]) -> None:
        trigger, _ = gathering
        first = batches.add(trigger, key="a", size=1)
        assert batches.add(trigger, key="a", size=1).due_at > first.due_at
        Batch.objects.update(
            opened_at=first.opened_at - batches.LONGEST * (first.due_at - first.opened_at) * 0.95
        )
        due = batches.add(trigger, key="a", size=1).due_at
        assert (due - timezone.now()).total_seconds() < 40

    def test_one_that_has_no_key_is_skipped_with_the_reason(self, gathering: tuple[Trigger, str]) -> None:
        told = read(send(*gathering, {"n": 1}), 202)
        assert "There is no value at '/customer'" in told["skipped"][0]["reason"]
        assert not Batch.objects.exists()

    def test_what_can_not_be_launched_is_said_of_each_delivery(self, gathering: tuple[Trigger, str]) -> None:
        trigger, secret = gathering
        Trigger.objects.filter(pk=trigger.pk).update(mapping={"x": "/nowhere"})
        for n in range(3):
            read(send(trigger, secret, {"customer": "a", "n": n}), 202)
        reasons = set(Reaction.objects.values_list("outcome", "reason"))
        assert len(reasons) == 1
        assert "/nowhere" in next(iter(reasons))[1]
        assert not Batch.objects.exists()


def test_a_trigger_s_rate_limit_is_a_429_and_a_repetition_is_still_answered() -> None:
    trigger, secret = make_event(rate_limit="1/minute")
    listener = Trigger.objects.create(job=make_job(), kind="event", source=trigger, rate_limit="1/minute")
    read(send(trigger, secret, key="1"), 202)
    told = send(trigger, secret, key="2")
    assert problem(told, 429, "throttled")
    assert int(told["Retry-After"]) > 0
    kept = Delivery.objects.order_by("-pk")[0]
    assert (kept.verdict, kept.key, bytes(kept.body), "used up" in kept.reason) == (
        "refused",
        None,
        b"",
        True,
    )
    read(send(trigger, secret, key="1"), 200)
    Trigger.objects.filter(pk=trigger.pk).update(rate_limit=None)
    told = read(send(trigger, secret, key="2"), 202)
    assert (told["runs"][0]["trigger"], told["skipped"][0]["trigger"]) == (trigger.pk, listener.pk)
    assert "used up" in told["skipped"][0]["reason"]


def test_old_deliveries_are_forgotten(settings: Settings) -> None:
    trigger, secret = make_event()
    send(trigger, secret)
    send(trigger, secret)
    first = Delivery.objects.order_by("pk")[0]
    Delivery.objects.filter(pk=first.pk).update(received_at="2020-01-01T00:00:00Z")
    assert deliveries.forget() == 1
    assert Delivery.objects.count() == 1
    assert Run.objects.count() == 2


@few(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_nothing_that_is_sent_is_answered_with_a_fault_of_ours(data: st.DataObject) -> None:
    """Any bytes, headers and types, rightly signed or not; any JSON, mapped and filtered."""
    scheme = data.draw(st.sampled_from(sorted(schemes.SCHEMES)))
    trigger, secret = make_event(
        make_job(schema={"additionalProperties": True}),
        scheme=scheme,
        mapping=data.draw(st.sampled_from([{}, {"x": ""}, {"x": "/a/0"}, {"x": "/$/payload"}])),
        filter=data.draw(st.sampled_from([{}, {"at": "/a", "like": "*"}, {"at": "", "exists": True}])),
        debounce_seconds=data.draw(st.sampled_from([0, 60])),
        debounce_pointer=data.draw(st.sampled_from(["", "/a"])),
    )
    texts = st.text(st.characters(), max_size=8)
    leaves = (
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
    )
    names = st.sampled_from(["a", "type", "event", "ref", "commits", "challenge", "\0", "\ud800"])
    some = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
    )
    body = data.draw(st.binary(max_size=30) | some.map(lambda found: json.dumps(found).encode()))
    headers = signed(trigger, secret, body, key=data.draw(st.text("a\x80\xff ", min_size=1, max_size=4)))
    latin = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=10)
    spoiled = data.draw(st.dictionaries(st.sampled_from([*headers, "X-GitHub-Event", "Headway-Run"]), latin))
    kinds = [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "x",
    ]
    answer = post(address(trigger), body, {**headers, **spoiled}, data.draw(st.sampled_from(kinds)))
    assert answer.status_code in {200, 202, 400, 401}, answer.content


def test_a_run_keeps_what_came_without_secrets_and_not_more_than_people_read() -> None:
    trigger, secret = make_event(scheme="token")
    send(trigger, secret, {"order": "a\0b", "token": "hunter2"})
    send(trigger, secret, {"text": "x" * 5000})
    short, long = Run.objects.order_by("pk").values_list("context", flat=True)
    assert short["payload"] == {"order": "a\ufffdb", "token": MASK}
    assert len(long["payload"]) == 2002
