"""runs.idempotency: the same key leads to the same run, whoever is first, and a crash leaves neither."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from runs import idempotency
from runs.idempotency import KeyReused
from runs.launch import Launched
from runs.models import Idempotency, Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import make_job, make_owner, make_run
from triggers import keys

Race = Callable[[int, Callable[[Program], None]], None]

KEY = "4f1c0b0e-order-77"


@pytest.mark.django_db
def test_the_same_request_twice_is_one_run(program: Program) -> None:
    job = make_job()
    path = f"/api/jobs/{job.slug}/run"
    first = program.post(path, {"tags": ["a"]}, key=KEY)
    second = program.post(path, {"tags": ["a"]}, key=KEY)
    assert read(second)["id"] == read(first, 202)["id"]
    assert second["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert second["Location"] == first["Location"]
    assert Run.objects.count() == 1


@pytest.mark.django_db
def test_a_repetition_counts_no_launch_and_is_answered_although_the_job_is_paused_now(
    program: Program,
) -> None:
    job = make_job()
    program.post(f"/api/jobs/{job.slug}/trigger", {}, key=KEY)
    job.status = "paused"
    job.save(update_fields=["status"])
    read(program.post(f"/api/jobs/{job.slug}/trigger/", {}, key=KEY))
    assert program.key is not None
    program.key.refresh_from_db()
    assert program.key.launches == 1


@pytest.mark.django_db
def test_another_body_or_another_address_is_refused(program: Program) -> None:
    job = make_job()
    program.post(f"/api/jobs/{job.slug}/run", {"tags": ["a"]}, key=KEY)
    for path, body in (
        (f"/api/jobs/{job.slug}/run", {"tags": ["b"]}),
        (f"/api/jobs/{job.slug}/trigger", {"tags": ["a"]}),
    ):
        refused = problem(program.post(path, body, key=KEY), 422, "idempotency_key_reused")
        assert KEY in refused["detail"]
    assert Run.objects.count() == 1


@pytest.mark.django_db
def test_a_key_belongs_to_the_credential_that_sent_it(new_key: NewKey) -> None:
    job = make_job()
    ids = {read(new_key().post(f"/api/jobs/{job.slug}/run", {}, key=KEY), 202)["id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.django_db
def test_a_refused_launch_leaves_its_key_free(program: Program) -> None:
    job = make_job(status="inactive")
    path = f"/api/jobs/{job.slug}/run"
    problem(program.post(path, {}, key=KEY), 409, "job_inactive")
    assert not Idempotency.objects.exists()
    job.status = "active"
    job.save(update_fields=["status"])
    read(program.post(path, {}, key=KEY), 202)


@pytest.mark.django_db
def test_a_crash_after_the_launch_leaves_neither_key_nor_run() -> None:
    def launch_and_crash() -> Launched:
        make_run()
        raise SystemExit

    with pytest.raises(SystemExit):
        idempotency.once(credential="key:1", key=KEY, fingerprint="f", launch=launch_and_crash)
    assert not Run.objects.exists()
    assert not Idempotency.objects.exists()


@pytest.mark.django_db
def test_a_day_later_the_key_is_new_again(program: Program) -> None:
    path = f"/api/jobs/{make_job().slug}/run"
    first = read(program.post(path, {}, key=KEY), 202)
    Idempotency.objects.update(created_at=timezone.now() - timedelta(hours=25))
    second = read(program.post(path, {"tags": ["other"]}, key=KEY), 202)
    assert second["id"] != first["id"]
    assert Idempotency.objects.get().run_id == second["id"]


@pytest.mark.django_db
def test_retry_and_rerun_keep_keys_as_well(program: Program) -> None:
    run = make_run()
    Run.objects.filter(pk=run.pk).update(status="cancelled", finished_at=timezone.now())
    for act in ("retry", "rerun"):
        path = f"/api/runs/{run.pk}/{act}"
        first = read(program.post(path, {}, key=act), 202)
        assert read(program.post(path, {}, key=act))["id"] == first["id"]


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["x" * 256, " ", "schlüssel"])
def test_a_key_that_can_be_none_is_refused(program: Program, key: str) -> None:
    path = f"/api/jobs/{make_job().slug}/run"
    body = problem(program.post(path, {}, **{"Idempotency-Key": key}), 400, "invalid_header")
    assert body["errors"][0]["in"] == "header"


@pytest.mark.django_db
def test_the_fingerprint_is_of_the_bytes_and_not_of_their_meaning() -> None:
    bodies = [json.dumps({"a": 1, "b": 2}).encode(), json.dumps({"b": 2, "a": 1}).encode()]
    prints = {idempotency.fingerprint(path="/api/jobs/x/run", body=body) for body in bodies}
    assert len(prints) == 2
    run = make_run()
    arguments: dict[str, Any] = {
        "credential": "key:1",
        "key": KEY,
        "launch": lambda: Launched(run=run, created=True),
    }
    idempotency.once(fingerprint=prints.pop(), **arguments)
    with pytest.raises(KeyReused):
        idempotency.once(fingerprint=prints.pop(), **arguments)


@pytest.fixture
def racing(transactional_db: None) -> Race:
    """Lets several threads, each with a connection of its own, do the same with one key at one moment."""
    _, text = keys.issue(name="racer", owner=make_owner(), scopes=("run",))

    def race(threads: int, act: Callable[[Program], None]) -> None:
        gate = Barrier(threads)

        def run() -> None:
            try:
                gate.wait()
                act(Program(text=text))
            finally:
                connections.close_all()

        with ThreadPoolExecutor(threads) as pool:
            for future in [pool.submit(run) for _ in range(threads)]:
                future.result()

    return race


def test_of_requests_that_come_together_one_launches_and_the_others_see_its_answer(
    racing: Race,
) -> None:
    path = f"/api/jobs/{make_job().slug}/run"
    answers: list[tuple[int, int]] = []

    def post(program: Program) -> None:
        answer = program.post(path, {}, key=KEY)
        answers.append((answer.status_code, json.loads(answer.content)["id"]))

    racing(8, post)
    assert Run.objects.count() == 1
    assert sorted(status for status, _ in answers) == [200] * 7 + [202]
    assert {number for _, number in answers} == {Run.objects.get().pk}


def test_a_first_request_that_does_not_end_is_a_409_for_the_second(transactional_db: None) -> None:
    path = f"/api/jobs/{make_job().slug}/run"
    key, text = keys.issue(name="slow", owner=make_owner(), scopes=("run",))
    begun, done = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Idempotency.objects.create(credential=f"key:{key.pk}", key=KEY, fingerprint="first")
                begun.set()
                done.wait(timeout=30)
                transaction.set_rollback(True)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(hold)
        try:
            assert begun.wait(timeout=30)
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
            answer = Program(text=text).post(path, {}, key=KEY)
            problem(answer, 409, "idempotency_in_flight")
            assert answer["Retry-After"]
            assert not Run.objects.exists()
        finally:
            done.set()
            first.result()
            connection.close()
    read(Program(text=text).post(path, {}, key=KEY), 202)
