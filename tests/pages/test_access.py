"""Who may see the pages and act on them."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from jobs.models import Job
from runs.models import Run
from runs.views.access import CANCEL_RUN, RETRY_RUN, RUN_JOB, VIEW_RUNS
from tests.factories import make_job, make_run
from tests.pages.conftest import Visitor, text, words

PAGES = [
    "/",
    "/runs/",
    "/runs/live/",
    "/runs/1/",
    "/runs/1/live/",
    "/runs/1/log/",
    "/jobs/",
    "/jobs/a/",
    "/schedules/",
    "/schedules/preview/",
]
ACTS = {"cancel": CANCEL_RUN, "retry": RETRY_RUN, "rerun": RETRY_RUN}


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_the_login_and_would_come_back(client: Client, path: str) -> None:
    response = client.get(f"{path}?q=1")
    assert response.status_code == 302
    assert response["Location"] == f"/admin/login/?next={path}%3Fq%3D1"


@pytest.mark.django_db
def test_a_poll_after_the_session_ended_makes_the_browser_load_the_page_anew(client: Client) -> None:
    response = client.get("/runs/live/", headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert response.content == b""


@pytest.mark.django_db
def test_a_stranger_who_sends_a_form_comes_back_to_the_page_it_stood_on(client: Client) -> None:
    response = client.post("/runs/1/cancel/", headers={"Referer": "http://testserver/runs/1/"})
    assert response["Location"] == "/admin/login/?next=/runs/1/"
    elsewhere = client.post("/runs/1/cancel/", headers={"Referer": "http://evil.example/x"})
    assert elsewhere["Location"] == "/admin/login/?next=/"


@pytest.mark.parametrize("path", PAGES)
def test_who_may_not_see_runs_is_told_so(visitor: Visitor, path: str) -> None:
    response = visitor(RUN_JOB).get(path)
    assert response.status_code == 403
    assert "You may not see runs" in text(response)
    assert VIEW_RUNS in text(response)


@pytest.mark.parametrize(("act", "permission"), ACTS.items())
def test_an_act_without_its_permission_is_refused_and_does_nothing(
    reader: Client, act: str, permission: str
) -> None:
    run = make_run()
    response = reader.post(f"/runs/{run.pk}/{act}/")
    run.refresh_from_db()
    assert response.status_code == 403
    assert permission in text(response)
    assert (run.status, Run.objects.count()) == ("queued", 1)


def test_who_may_not_start_jobs_sees_no_button_and_can_start_none(reader: Client) -> None:
    job = make_job()
    assert "/run/" not in text(reader.get("/jobs/"))
    page = words(reader.get(f"/jobs/{job.slug}/"))
    assert "You may look at this job, but not start it." in page
    assert f"/jobs/{job.slug}/run/" not in page
    assert reader.post(f"/jobs/{job.slug}/run/").status_code == 403
    assert not Run.objects.exists()


def test_buttons_of_runs_follow_the_permissions(visitor: Visitor) -> None:
    run = make_run()
    cancel = f"/runs/{run.pk}/cancel/"
    for path in ("/runs/", f"/runs/{run.pk}/", f"/jobs/{run.job.slug}/"):
        assert cancel not in text(visitor(VIEW_RUNS).get(path))
        assert cancel in text(visitor(VIEW_RUNS, CANCEL_RUN).get(path))


def test_an_act_is_a_post_with_the_proof_of_its_form(visitor: Visitor) -> None:
    run = make_run()
    client = visitor(VIEW_RUNS, CANCEL_RUN, csrf=True)
    typed_in = client.get(f"/runs/{run.pk}/cancel/")
    assert (typed_in.status_code, typed_in["Allow"]) == (405, "POST")
    assert f"/runs/{run.pk}/cancel/ takes POST and not GET" in words(typed_in)
    refused = client.post(f"/runs/{run.pk}/cancel/")
    assert refused.status_code == 403
    assert "This page was too old" in text(refused)
    run.refresh_from_db()
    assert run.status == "queued"


@pytest.mark.django_db
def test_who_is_not_of_the_staff_logs_in_and_out_of_the_pages_all_the_same(client: Client) -> None:
    bob = User.objects.create_user("bob", password="a long one")
    bob.user_permissions.add(Permission.objects.get(codename="view_run"))
    sent = {"username": "bob", "password": "a long one", "next": "/runs/"}
    assert client.post("/admin/login/", sent, follow=True).redirect_chain == [("/runs/", 302)]
    assert client.get("/admin/").status_code == 302
    assert client.post("/logout/")["Location"] == "/admin/login/"
    assert client.get("/runs/")["Location"] == "/admin/login/?next=/runs/"


def test_the_edit_link_is_for_those_who_may_change_jobs(visitor: Visitor) -> None:
    job: Job = make_job()
    edit = f"/admin/jobs/job/{job.pk}/change/"
    assert edit not in text(visitor(VIEW_RUNS).get(f"/jobs/{job.slug}/"))
    assert edit in text(visitor(VIEW_RUNS, "jobs.change_job").get(f"/jobs/{job.slug}/"))


def test_a_page_that_is_not_there_says_so_and_leads_back(reader: Client) -> None:
    for path, sentence in {
        "/runs/999/": "There is no run '999'",
        "/runs/nonsense/": "'nonsense' is no run: expected an id",
        "/runs/²/": "'²' is no run",
        "/jobs/nothing/": "There is no job 'nothing'",
        "/nowhere/": "There is no page at /nowhere/",
    }.items():
        response = reader.get(path)
        assert response.status_code == 404
        assert sentence in words(response)
        assert 'href="/runs/"' in text(response)


def test_pages_are_never_kept_by_caches(reader: Client) -> None:
    make_run()
    for path in ("/", "/runs/", "/runs/live/?top=0"):
        assert "no-store" in reader.get(path)["Cache-Control"]
