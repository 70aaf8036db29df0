"""The admin of jobs: list, Run button, form, actions."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from jobs import sync
from jobs.models import Job
from runs.models import Run
from tests.admin.conftest import Login
from tests.admin.pages import address, form_of, text_of
from tests.factories import make_job, make_run, make_schedule
from triggers.models import Kind, Trigger

LIST = "jobs_job_changelist"
CITY = {"type": "object", "properties": {"city": {"type": "string", "title": "City"}}, "required": ["city"]}


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_the_list_shows_state_latest_runs_triggers_and_a_run_button(boss: Client) -> None:
    job = make_job(name="Daily report")
    make_schedule(job)
    make_run(job)
    page = boss.get(address(LIST))
    body = page.content.decode()
    assert "Daily report" in body
    assert f'formaction="{address("jobs_job_run", job.pk)}"' in body
    assert 'formmethod="post"' in body
    assert "1 queued" in body
    assert "Schedule" in text_of(page)


def test_the_list_asks_no_more_for_many_jobs_than_for_one(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(8):
        job = make_job()
        make_schedule(job)
        make_run(job)
    with django_assert_max_num_queries(12):
        boss.get(address(LIST))


def test_the_run_button_starts_a_manual_run_that_names_the_person(boss: Client) -> None:
    job = make_job()
    page = boss.post(address("jobs_job_run", job.pk), follow=True)
    run = Run.objects.get(job=job)
    assert (run.trigger_kind, run.cause, run.trigger) == ("manual", "Started by hand by ada", None)
    assert any(f"/runs/{run.pk}/" in message for message in messages_of(page))
    assert (
        LogEntry.objects.get(object_id=str(job.pk)).change_message == f"Started {job.name} as run #{run.pk}."
    )


def test_a_get_never_starts_anything(boss: Client) -> None:
    job = make_job()
    assert boss.get(address("jobs_job_run", job.pk)).status_code == 200
    assert boss.get(address("jobs_job_duplicate", job.pk)).status_code == 405
    assert not Run.objects.exists()


def test_the_run_button_goes_back_to_the_filtered_list(boss: Client) -> None:
    job = make_job()
    came_from = f"http://testserver{address(LIST)}?state=active"
    page = boss.post(address("jobs_job_run", job.pk), headers={"referer": came_from})
    assert page.headers["Location"] == came_from
    page = boss.post(address("jobs_job_run", job.pk), headers={"referer": "https://elsewhere.example/"})
    assert page.headers["Location"] == address(LIST)


def test_a_job_with_parameters_asks_for_them_first(boss: Client) -> None:
    job = make_job(schema=CITY, defaults={"city": "Berlin"})
    run_address = address("jobs_job_run", job.pk)
    asked = boss.post(run_address)
    assert (asked.status_code, asked.headers["Location"]) == (302, run_address)
    page = boss.get(run_address)
    assert 'value="Berlin"' in page.content.decode()
    assert "City" in text_of(page)
    boss.post(run_address, {"_run": "yes", "p-city": "Rome"})
    assert Run.objects.get().parameters == {"city": "Rome"}


def test_wrong_parameters_are_said_beside_their_field_and_start_nothing(boss: Client) -> None:
    schema = {"type": "object", "properties": {"count": {"type": "integer", "maximum": 9}}}
    job = make_job(schema=schema)
    page = boss.post(address("jobs_job_run", job.pk), {"_run": "yes", "p-count": "12"})
    assert page.status_code == 422
    assert "expected a whole number of at most 9" in text_of(page)
    assert 'value="12"' in page.content.decode()
    assert 'aria-invalid="true"' in page.content.decode()
    assert not Run.objects.exists()


def test_a_secret_default_is_not_in_the_run_form_and_still_holds(boss: Client) -> None:
    schema = {
        "type": "object",
        "properties": {"token": {"type": "string", "format": "password"}},
        "required": ["token"],
    }
    job = make_job(schema=schema, defaults={"token": "hush hush"})
    page = boss.get(address("jobs_job_run", job.pk))
    assert "hush" not in page.content.decode()
    boss.post(address("jobs_job_run", job.pk), {"_run": "yes", "p-token": ""})
    assert Run.objects.get().parameters == {"token": "hush hush"}


def test_a_paused_job_has_no_run_button_and_refuses_a_launch_with_the_reason(boss: Client) -> None:
    job = make_job()
    boss.post(address("jobs_job_pause", job.pk), {"_confirmed": "yes", "reason": "moving house"})
    assert address("jobs_job_run", job.pk) not in boss.get(address(LIST)).content.decode()
    page = boss.post(address("jobs_job_run", job.pk), follow=True)
    assert any("was paused by ada: moving house" in message for message in messages_of(page))
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("button", "permission"),
    [
        ("run", "jobs.run_job"),
        ("pause", "jobs.pause_job"),
        ("resume", "jobs.pause_job"),
        ("duplicate", "jobs.add_job"),
        ("take_over", "jobs.change_job"),
    ],
)
def test_each_button_needs_its_own_permission(login: Login, button: str, permission: str) -> None:
    job = make_job()
    every = {"jobs.run_job", "jobs.pause_job", "jobs.add_job", "jobs.change_job", "jobs.view_job"}
    url = address(f"jobs_job_{button}", job.pk)
    assert login(*(every - {permission})).post(url).status_code == 403
    assert login(permission).post(url).status_code == (302 if permission == "jobs.change_job" else 403)
    assert login(permission, "jobs.view_job").post(url).status_code in (200, 302)


def test_people_see_only_the_buttons_they_may_press(login: Login) -> None:
    job = make_job()
    page = login("jobs.view_job").get(address(LIST))
    assert address("jobs_job_run", job.pk) not in page.content.decode()
    page = login("jobs.view_job", "jobs.run_job").get(address("jobs_job_change", job.pk))
    assert address("jobs_job_run", job.pk) in page.content.decode()
    assert address("jobs_job_pause", job.pk) not in page.content.decode()


def test_a_button_needs_the_csrf_token(boss: Client) -> None:
    job = make_job()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = boss.cookies
    assert strict.post(address("jobs_job_run", job.pk)).status_code == 403
    assert not Run.objects.exists()


def test_pausing_keeps_who_why_and_until_when(boss: Client) -> None:
    job = make_job()
    until = timezone.now() + timedelta(hours=2)
    boss.post(
        address("jobs_job_pause", job.pk),
        {"_confirmed": "yes", "reason": "maintenance", "until": f"{until:%Y-%m-%dT%H:%M}"},
    )
    job.refresh_from_db()
    assert (job.status, job.paused_by, job.paused_reason) == ("paused", "ada", "maintenance")
    assert job.paused_until == until.replace(second=0, microsecond=0)
    boss.post(address("jobs_job_resume", job.pk))
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.paused_by, job.paused_until) == ("active", "", None)


def test_a_pause_that_would_be_over_is_refused(boss: Client) -> None:
    job = make_job()
    page = boss.post(
        address("jobs_job_pause", job.pk),
        {"_confirmed": "yes", "until": "2020-01-01T00:00"},
        follow=True,
    )
    assert any("is over: expected a time after" in message for message in messages_of(page))
    job.refresh_from_db()
    assert job.status == "active"


def test_many_jobs_are_paused_with_one_reason(boss: Client) -> None:
    jobs = [make_job(), make_job(status="inactive")]
    chosen = {"action": "pause_selected", "_selected_action": [job.pk for job in jobs]}
    asked = boss.post(address(LIST), chosen)
    assert all(job.name in text_of(asked) for job in jobs)
    page = boss.post(address(LIST), {**chosen, "_confirmed": "yes", "reason": "stocktaking"}, follow=True)
    assert [Job.objects.get(pk=job.pk).paused_reason for job in jobs] == ["stocktaking", ""]
    assert any("is inactive" in message for message in messages_of(page))


def test_run_selected_says_how_many_before_it_starts_them(boss: Client) -> None:
    jobs = [make_job(), make_job()]
    chosen = {"action": "run_selected", "_selected_action": [job.pk for job in jobs]}
    asked = boss.post(address(LIST), chosen)
    assert "2 runs will be started" in text_of(asked)
    assert not Run.objects.exists()
    boss.post(address(LIST), {**chosen, "_confirmed": "yes"})
    assert Run.objects.count() == 2


def test_an_action_takes_no_more_than_a_page_and_no_ids_that_are_none(boss: Client) -> None:
    job = make_job()
    for chosen in (
        {"_selected_action": [str(number) for number in range(1, 52)]},
        {"_selected_action": [job.pk], "select_across": "1"},
        {"_selected_action": ["1 or 1=1"]},
    ):
        page = boss.post(
            address(LIST), {"action": "run_selected", "_confirmed": "yes", **chosen}, follow=True
        )
        assert any("Nothing was done" in message for message in messages_of(page))
    assert not Run.objects.exists()


def test_a_copy_is_inactive_and_does_the_same(boss: Client) -> None:
    job = make_job(slug="report", declared={"name": "x"})
    boss.post(address("jobs_job_duplicate", job.pk))
    boss.post(address("jobs_job_duplicate", job.pk))
    copies = Job.objects.filter(slug__startswith="report-copy").order_by("slug")
    assert [copy.slug for copy in copies] == ["report-copy", "report-copy-2"]
    assert all((copy.status, copy.declared) == ("inactive", None) for copy in copies)
    assert all(copy.configuration == job.configuration for copy in copies)


def test_a_job_that_ran_is_not_deleted_and_one_that_never_did_is(boss: Client) -> None:
    ran, idle = make_job(), make_job()
    make_run(ran)
    page = boss.post(address("jobs_job_delete", ran.pk), {"post": "yes"}, follow=True)
    assert any("make it inactive instead" in message for message in messages_of(page))
    assert "delete_selected" not in boss.get(address(LIST)).content.decode()
    boss.post(address("jobs_job_delete", idle.pk), {"post": "yes"})
    assert list(Job.objects.filter(pk__in=[ran.pk, idle.pk])) == [ran]


def test_a_new_job_first_chooses_its_executor(boss: Client) -> None:
    page = boss.get(address("jobs_job_add"))
    assert all(f"?executor={slug}" in page.content.decode() for slug in ("python", "command", "http"))
    assert boss.get(address("jobs_job_add") + "?executor=none").context["choices"]


def test_a_new_job_gets_its_owner_and_its_remote_trigger(boss: Client) -> None:
    url = address("jobs_job_add") + "?executor=command"
    sent = form_of(boss, url) | {
        "name": "Report", "slug": "report", "configuration_argv": "python\n-c\nprint(1)",
        "configuration_env": "LEVEL=2", "configuration_success_codes": "0, 3",
    }  # fmt: skip
    assert boss.post(url, sent).status_code == 302
    job = Job.objects.get(slug="report")
    assert job.configuration == {
        "argv": ["python", "-c", "print(1)"],
        "env": {"LEVEL": "2"},
        "success_codes": [0, 3],
    }
    assert (job.executor, job.owner and job.owner.get_username()) == ("command", "ada")
    assert Trigger.objects.get(job=job).kind == Kind.REMOTE


def test_what_an_executor_refuses_is_said_beside_the_field(boss: Client) -> None:
    url = address("jobs_job_add") + "?executor=command"
    sent = form_of(boss, url) | {"name": "Report", "slug": "report", "configuration_argv": "rm\n-rf"}
    errors = boss.post(url, sent).context["adminform"].form.errors
    assert list(errors) == ["configuration_argv"]
    assert "/argv/0: The program 'rm' is not allowed" in errors["configuration_argv"][0]


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("defaults", '{"city": 3}', "/city: 'city' is 3; expected a text"),
        ("defaults", '{"city": ', "Line 1, column 10"),
        ("defaults", "[1]", "expected an object"),
        ("defaults", '{"city": "\\u0000"}', "U+0000"),
        ("defaults", '{"city": NaN}', "NaN"),
        ("defaults", "9" * 5000, "has more than 4300 digits. Expected a JSON object."),
        ("schema", '{"type": "nothing"}', "type"),
        ("schema", "[" * 5000, "JSON"),
        ("slug", "run", "reserved"),
        ("slug", "No Slug", "not a slug"),
        ("timeout_seconds", "0", "greater than or equal to 1"),
        ("retry_longest_delay_seconds", "-1", "greater than or equal to 0"),
        ("priority", "101", "less than or equal to 100"),
    ],
)
def test_bad_input_is_said_beside_its_field(boss: Client, field: str, text: str, said: str) -> None:
    url = address("jobs_job_change", make_job(schema=CITY).pk)
    page = boss.post(url, form_of(boss, url) | {field: text})
    assert page.status_code == 200
    assert said in " ".join(page.context["adminform"].form.errors[field])


def test_opening_and_saving_changes_nothing(boss: Client) -> None:
    for executor, configuration in (
        ("command", {"argv": ["python", "-c", "a\nb"], "cwd": "."}),
        ("command", {"argv": ["python", " spaced "]}),
        ("command", {"argv": ["python"], "result": "none", "stdin": "parameters"}),
        (
            "http",
            {"url": "https://example.com/{id}", "headers": {"accept": "text/html"}, "body": {"a": "{id}"}},
        ),
        ("http", {"url": "https://example.com/", "expected_status": [200, 201], "follow_redirects": True}),
    ):
        job = make_job(executor=executor, configuration=configuration)
        url = address("jobs_job_change", job.pk)
        assert boss.post(url, form_of(boss, url)).status_code == 302
        job.refresh_from_db()
        assert (job.configuration, job.version) == (configuration, 1)


def test_saving_writes_only_what_was_changed(boss: Client) -> None:
    job = make_job()
    url = address("jobs_job_change", job.pk)
    sent = form_of(boss, url)
    Job.objects.filter(pk=job.pk).update(timeout_seconds=77)
    boss.post(url, sent | {"name": "Another name", "timeout_seconds": "3600"})
    job.refresh_from_db()
    assert (job.name, job.timeout_seconds) == ("Another name", 3600)
    sent = form_of(boss, url)
    Job.objects.filter(pk=job.pk).update(paused_reason="written by somebody else")
    boss.post(url, sent | {"name": "A third name"})
    job.refresh_from_db()
    assert job.paused_reason == "written by somebody else"


def test_secrets_in_the_defaults_are_dots_that_keep_what_is_stored(boss: Client) -> None:
    schema = {"type": "object", "properties": {"token": {"type": "string", "format": "password"}, "n": {}}}
    job = make_job(schema=schema, defaults={"token": "hush hush", "n": 1})
    url = address("jobs_job_change", job.pk)
    assert "hush" not in boss.get(url).content.decode()
    boss.post(url, form_of(boss, url) | {"defaults": '{"token": "••••••", "n": 2}'})
    job.refresh_from_db()
    assert job.defaults == {"token": "hush hush", "n": 2}


def test_people_who_may_only_look_see_no_secrets(login: Login) -> None:
    schema = {"type": "object", "properties": {"token": {"type": "string", "format": "password"}}}
    configuration = {"argv": ["python"], "env": {"KEY": "hidden too"}}
    job = make_job(schema=schema, defaults={"token": "hush hush"}, configuration=configuration)
    client = login("jobs.view_job")
    page = client.get(address("jobs_job_change", job.pk))
    assert page.status_code == 200
    assert "hush" not in page.content.decode()
    assert "hidden too" not in page.content.decode()
    assert client.post(address("jobs_job_change", job.pk), {"name": "x"}).status_code == 403


def test_a_broken_job_is_shown_as_broken_with_the_reason(boss: Client) -> None:
    job = make_job(executor="python", configuration={"function": "gone"}, broken_reason="No function 'gone'.")
    assert "broken" in text_of(boss.get(address(LIST)))
    page = boss.get(address("jobs_job_change", job.pk))
    assert "No function 'gone'." in text_of(page)
    assert address("jobs_job_run", job.pk) not in page.content.decode()


def test_differences_to_the_code_are_shown_and_taken_over(boss: Client) -> None:
    sync.sync()
    job = Job.objects.get(slug="noop")
    Job.objects.filter(pk=job.pk).update(timeout_seconds=5, name="Mine")
    page = boss.get(address("jobs_job_change", job.pk))
    assert "Other than in the code" in text_of(page)
    boss.post(address("jobs_job_take_over", job.pk), {"field": ["timeout_seconds", "id"]})
    job.refresh_from_db()
    assert job.declared is not None
    assert (job.timeout_seconds, job.name) == (job.declared["timeout_seconds"], "Mine")


def test_a_new_python_job_takes_the_parameters_of_its_function(boss: Client) -> None:
    url = address("jobs_job_add") + "?executor=python"
    sent = form_of(boss, url) | {"name": "Nap", "slug": "nap", "configuration_function": "sleep"}
    assert boss.post(url, sent).status_code == 302
    job = Job.objects.get(slug="nap")
    assert job.configuration == {"function": "sleep"}
    assert "seconds" in job.schema["properties"]


def test_what_people_write_is_never_markup(boss: Client) -> None:
    evil = "<script>alert(1)</script>"
    job = make_job(name=evil, description=evil, tags=[evil], schema={"properties": {evil: {"title": evil}}})
    make_schedule(job, name=evil)
    boss.post(address("jobs_job_pause", job.pk), {"_confirmed": "yes", "reason": evil})
    for url in (
        address(LIST),
        address("jobs_job_change", job.pk),
        address("jobs_job_run", job.pk),
        address("jobs_job_history", job.pk),
    ):
        page = boss.get(url)
        assert page.status_code == 200
        assert evil not in page.content.decode()
    page = boss.post(address("jobs_job_run", job.pk), {"_run": "yes"}, follow=True)
    assert evil not in page.content.decode()


@pytest.mark.parametrize(
    "query", ["?q=%00", "?status__exact=%00", "?before=x", "?nonsense=1", "?o=99", "?p=9999"]
)
def test_a_senseless_address_is_no_error(boss: Client, query: str) -> None:
    make_job()
    assert boss.get(address(LIST) + query, follow=True).status_code == 200


def test_jobs_are_filtered_by_the_state_people_see(boss: Client) -> None:
    over = timezone.now() - timedelta(minutes=1)
    jobs = {
        "active": [make_job(), make_job(status="paused", paused_until=over)],
        "paused": [make_job(status="paused")],
        "inactive": [make_job(status="inactive")],
        "broken": [make_job(broken_reason="gone")],
    }
    for state, expected in jobs.items():
        page = boss.get(address(LIST), {"state": state})
        assert {job.pk for job in page.context["cl"].result_list} == {job.pk for job in expected}


def test_an_empty_list_says_whether_nothing_is_there_or_nothing_matches(boss: Client) -> None:
    assert "There are no jobs yet." in text_of(boss.get(address(LIST)))
    assert "No jobs match." in text_of(boss.get(address(LIST), {"q": "x"}))
