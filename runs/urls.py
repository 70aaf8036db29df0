"""The addresses of the pages."""

from django.urls import path

from runs.views import (
    acts,
    audit_page,
    campaign_acts,
    campaign_form,
    campaign_list,
    campaign_page,
    dashboard,
    graph_page,
    job_list,
    job_page,
    run_list,
    run_page,
    schedule_list,
    schedule_page,
)

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
    path("audit/", audit_page.audit, name="audit"),
    path("audit/<int:number>/revert/", audit_page.revert, name="audit-revert"),
    path("schedules/<int:number>/", schedule_page.schedule_page, name="schedule"),
    path("schedules/<int:number>/slots/", schedule_page.decide, name="schedule-slots"),
    path("campaigns/", campaign_list.campaign_list, name="campaigns"),
    path("campaigns/new/", campaign_form.order_campaign, name="order-campaign"),
    path("campaigns/<int:number>/", campaign_page.campaign_page, name="campaign"),
    path("campaigns/<int:number>/live/", campaign_page.campaign_live, name="campaign-live"),
    path("campaigns/<int:number>/report/", campaign_page.campaign_report, name="campaign-report"),
    path("campaigns/<int:number>/failures/", campaign_page.campaign_failures, name="campaign-failures"),
    path("campaigns/<int:number>/duplicate/", campaign_acts.duplicate, name="campaign-duplicate"),
    path("campaigns/<int:number>/pause/", campaign_acts.pause, name="campaign-pause"),
    path("campaigns/<int:number>/resume/", campaign_acts.resume, name="campaign-resume"),
    path("campaigns/<int:number>/cancel/", campaign_acts.cancel, name="campaign-cancel"),
    path("campaigns/<int:number>/retry-failed/", campaign_acts.retry_failed, name="campaign-retry-failed"),
    path("campaigns/<int:number>/change/", campaign_acts.change, name="campaign-change"),
]
