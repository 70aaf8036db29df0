"""The addresses of the pages."""

from django.urls import path

from runs.views import acts, dashboard, graph_page, job_list, job_page, run_list, run_page, schedule_list

app_name = "pages"
urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("runs/", run_list.run_list, name="runs"),
    path("runs/live/", run_list.run_list_live, name="runs-live"),
    path("runs/<str:ref>/", run_page.run_page, name="run"),
    path("runs/<str:ref>/live/", run_page.run_live, name="run-live"),
    path("runs/<str:ref>/log/", run_page.run_log, name="run-log"),
    path("runs/<str:ref>/cancel/", acts.cancel, name="cancel"),
    path("runs/<str:ref>/retry/", acts.retry, name="retry"),
    path("runs/<str:ref>/rerun/", acts.rerun, name="rerun"),
    path("jobs/", job_list.job_list, name="jobs"),
    path("jobs/<slug:slug>/", job_page.job_page, name="job"),
    path("jobs/<slug:slug>/run/", job_page.run_job, name="run-job"),
    path("graph/", graph_page.graph_page, name="graph"),
    path("schedules/", schedule_list.schedule_list, name="schedules"),
]
