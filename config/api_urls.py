"""Every address under /api/, without a last slash: with one they mean the same (`config.middleware`)."""

from django.urls import path

from config.api import documents, problems
from notifications.api import channels, messages, rules
from runs.api import (
    acts,
    audit,
    campaign_orders,
    campaign_records,
    campaigns,
    circuits,
    completion,
    deliveries,
    dependencies,
    deployments,
    events,
    holds,
    job_edits,
    jobs,
    lanes,
    launching,
    operations,
    recipient_lists,
    runs,
    scheduled,
    sources,
    stats,
    stats_triggers,
    targets,
    trigger_edits,
    trigger_history,
    trigger_pauses,
    trigger_slots,
)
from triggers.api import keys
from triggers.api.calendars import CalendarListView, CalendarView
from triggers.api.preview import PreviewView

_JOB = "jobs/<slug:slug>"
_TRIGGER = f"{_JOB}/triggers/<int:trigger>"
_RUN = "runs/<slug:run>"
_KEY = "keys/<slug:key>"
_CAMPAIGN = "campaigns/<int:campaign>"
_CHANNEL = "channels/<int:channel>"

urlpatterns = [
    # Launching. The words that follow jobs/ are no slugs (product.md, Reserved slugs).
    path("jobs/run", launching.RunNamedJobView.as_view(), name="api-run-named-job"),
    path(f"{_JOB}/run", launching.RunJobView.as_view(), name="api-run-job"),
    path(f"{_JOB}/trigger", launching.TriggerJobView.as_view(), name="api-trigger-job"),
    path(
        "scheduled-jobs/trigger", scheduled.TriggerNamedScheduledJobView.as_view(), name="api-trigger-named"
    ),
    path(
        "scheduled-jobs/<slug:slug>/trigger",
        scheduled.TriggerScheduledJobView.as_view(),
        name="api-trigger-scheduled-job",
    ),
    path("events/<uuid:public_id>", events.EventView.as_view(), name="api-event"),
    # Runs.
    path("runs/cancel", operations.CancelRunsView.as_view(), name="api-runs-cancel"),
    path("runs/retry", operations.RetryRunsView.as_view(), name="api-runs-retry"),
    path("runs/priority", operations.PriorityRunsView.as_view(), name="api-runs-priority"),
    path("operations", operations.OperationsView.as_view(), name="api-operations"),
    path("operations/<int:number>", operations.OperationView.as_view(), name="api-operation"),
    path("operations/<int:number>/stop", operations.StopOperationView.as_view(), name="api-operation-stop"),
    path("runs", runs.RunListView.as_view(), name="api-runs"),
    path(_RUN, runs.RunView.as_view(), name="api-run"),
    path(f"{_RUN}/logs", runs.RunLogView.as_view(), name="api-run-logs"),
    path(f"{_RUN}/events", runs.RunEventsView.as_view(), name="api-run-events"),
    path(f"{_RUN}/steps", runs.RunStepsView.as_view(), name="api-run-steps"),
    path(f"{_RUN}/cancel", acts.CancelView.as_view(), name="api-run-cancel"),
    path(f"{_RUN}/priority", acts.PriorityView.as_view(), name="api-run-priority"),
    path(f"{_RUN}/retry", acts.RetryView.as_view(), name="api-run-retry"),
    path(f"{_RUN}/rerun", acts.RerunView.as_view(), name="api-run-rerun"),
    path(f"{_RUN}/complete", completion.CompleteView.as_view(), name="api-run-complete"),
    # Jobs and triggers.
    path("jobs", job_edits.JobsView.as_view(), name="api-jobs"),
    path(
        "jobs/available-upstream", dependencies.AvailableUpstreamView.as_view(), name="api-available-upstream"
    ),
    path(_JOB, job_edits.JobEditView.as_view(), name="api-job"),
    path(f"{_JOB}/pause", job_edits.PauseJobView.as_view(), name="api-job-pause"),
    path(f"{_JOB}/resume", job_edits.ResumeJobView.as_view(), name="api-job-resume"),
    path(f"{_JOB}/runs", jobs.JobRunsView.as_view(), name="api-job-runs"),
    path(f"{_JOB}/stats", jobs.JobStatsView.as_view(), name="api-job-stats"),
    path(f"{_JOB}/reset-circuit", circuits.ResetCircuitView.as_view(), name="api-reset-circuit"),
    path(f"{_JOB}/triggers", trigger_edits.TriggersView.as_view(), name="api-job-triggers"),
    path(
        f"{_JOB}/triggers/dependencies",
        dependencies.DependenciesView.as_view(),
        name="api-job-dependencies",
    ),
    path(
        f"{_JOB}/triggers/validate-dependency",
        dependencies.ValidateDependencyView.as_view(),
        name="api-job-validate-dependency",
    ),
    path(f"{_JOB}/triggers/schedule/preview", PreviewView.as_view(), name="api-job-schedule-preview"),
    path(_TRIGGER, trigger_edits.TriggerEditView.as_view(), name="api-trigger"),
    path(f"{_TRIGGER}/enable", trigger_edits.EnableView.as_view(), name="api-trigger-enable"),
    path(f"{_TRIGGER}/disable", trigger_edits.DisableView.as_view(), name="api-trigger-disable"),
    path(f"{_TRIGGER}/pause", trigger_pauses.PauseTriggerView.as_view(), name="api-trigger-pause"),
    path(f"{_TRIGGER}/resume", trigger_pauses.ResumeTriggerView.as_view(), name="api-trigger-resume"),
    path(f"{_TRIGGER}/fire", trigger_edits.FireView.as_view(), name="api-trigger-fire"),
    path(
        f"{_TRIGGER}/rotate-secret",
        trigger_edits.RotateSecretView.as_view(),
        name="api-trigger-rotate-secret",
    ),
    path(f"{_TRIGGER}/test", deliveries.SendTestView.as_view(), name="api-trigger-test"),
    path(f"{_TRIGGER}/history", trigger_history.TriggerHistoryView.as_view(), name="api-trigger-history"),
    path(f"{_TRIGGER}/slots", trigger_slots.SlotsView.as_view(), name="api-trigger-slots"),
    path(f"{_TRIGGER}/slots/run", trigger_slots.RunSlotsView.as_view(), name="api-trigger-slots-run"),
    path(
        f"{_TRIGGER}/slots/dismiss",
        trigger_slots.DismissSlotsView.as_view(),
        name="api-trigger-slots-dismiss",
    ),
    path(f"{_TRIGGER}/sync-deployment", deployments.SyncDeploymentView.as_view(), name="api-sync-deployment"),
    path("schedule/preview", PreviewView.as_view(), name="api-schedule-preview"),
    path("calendars", CalendarListView.as_view(), name="api-calendars"),
    path("calendars/<int:calendar>", CalendarView.as_view(), name="api-calendar"),
    # Who changed what.
    path("audit", audit.ChangeListView.as_view(), name="api-audit"),
    path("audit/<int:change>/revert", audit.RevertChangeView.as_view(), name="api-audit-revert"),
    # What came to event triggers.
    path("deliveries", deliveries.DeliveryListView.as_view(), name="api-deliveries"),
    path("deliveries/<int:delivery>", deliveries.DeliveryView.as_view(), name="api-delivery"),
    path("deliveries/<int:delivery>/replay", deliveries.ReplayView.as_view(), name="api-delivery-replay"),
    path("sources", sources.SourceListView.as_view(), name="api-sources"),
    path("sources/<int:source>", sources.SourceView.as_view(), name="api-source"),
    path("sources/<int:source>/try", sources.TrySourceView.as_view(), name="api-source-try"),
    path("sources/<int:source>/poll", sources.PollSourceView.as_view(), name="api-source-poll"),
    # Keys.
    path("keys", keys.KeyListView.as_view(), name="api-keys"),
    path(_KEY, keys.KeyView.as_view(), name="api-key"),
    path(f"{_KEY}/rotate", keys.RotateKeyView.as_view(), name="api-key-rotate"),
    path(f"{_KEY}/revoke", keys.RevokeKeyView.as_view(), name="api-key-revoke"),
    # Who is told of what, and what was told.
    path("channels", channels.ChannelsView.as_view(), name="api-channels"),
    path(_CHANNEL, channels.ChannelView.as_view(), name="api-channel"),
    path(f"{_CHANNEL}/rotate-secret", channels.ChannelSecretView.as_view(), name="api-channel-secret"),
    path(f"{_CHANNEL}/test", channels.ChannelTestView.as_view(), name="api-channel-test"),
    path("notification-rules", rules.RulesView.as_view(), name="api-notification-rules"),
    path("notification-rules/<int:rule>", rules.RuleView.as_view(), name="api-notification-rule"),
    path("notifications", messages.MessagesView.as_view(), name="api-notifications"),
    path("notifications/<int:message>", messages.MessageView.as_view(), name="api-notification"),
    path("notifications/<int:message>/resend", messages.ResendView.as_view(), name="api-notification-resend"),
    # Campaigns (S4).
    path("campaigns", campaign_orders.CampaignListView.as_view(), name="api-campaigns"),
    path(_CAMPAIGN, campaigns.CampaignView.as_view(), name="api-campaign"),
    path(f"{_CAMPAIGN}/pause", campaigns.PauseView.as_view(), name="api-campaign-pause"),
    path(f"{_CAMPAIGN}/resume", campaigns.ResumeView.as_view(), name="api-campaign-resume"),
    path(f"{_CAMPAIGN}/cancel", campaigns.CancelCampaignView.as_view(), name="api-campaign-cancel"),
    path(f"{_CAMPAIGN}/retry-failed", campaigns.RetryFailedView.as_view(), name="api-campaign-retry"),
    path(f"{_CAMPAIGN}/duplicate", campaigns.DuplicateView.as_view(), name="api-campaign-duplicate"),
    path(f"{_CAMPAIGN}/runs", campaign_records.CampaignRunsView.as_view(), name="api-campaign-runs"),
    path(f"{_CAMPAIGN}/errors", campaign_records.CampaignErrorsView.as_view(), name="api-campaign-errors"),
    path(f"{_CAMPAIGN}/events", campaign_records.CampaignEventsView.as_view(), name="api-campaign-events"),
    path(f"{_CAMPAIGN}/report", campaign_records.CampaignReportView.as_view(), name="api-campaign-report"),
    path(
        f"{_CAMPAIGN}/failures",
        campaign_records.CampaignFailuresView.as_view(),
        name="api-campaign-failures",
    ),
    # Numbers (S4).
    path("stats/run/<slug:run>", stats.RunStatsView.as_view(), name="api-stats-run"),
    path("stats/trigger-run/<slug:run>", stats.RunStatsView.as_view(), name="api-stats-trigger-run"),
    path("stats/queue", stats.QueueStatsView.as_view(), name="api-stats-queue"),
    path("stats/workers", stats.WorkerStatsView.as_view(), name="api-stats-workers"),
    path("stats/triggers", stats_triggers.TriggerStatsView.as_view(), name="api-stats-triggers"),
    path("stats/broker", holds.BrokerView.as_view(), name="api-stats-broker"),
    path("stats/circuit-breaker", circuits.CircuitsView.as_view(), name="api-circuits"),
    # Lanes and workers, and all that is paused.
    path("pauses", holds.PausesView.as_view(), name="api-pauses"),
    path("lanes/<slug:lane>/pause", lanes.PauseLaneView.as_view(), name="api-lane-pause"),
    path("lanes/<slug:lane>/resume", lanes.ResumeLaneView.as_view(), name="api-lane-resume"),
    path("lanes/<slug:lane>/purge", lanes.PurgeLaneView.as_view(), name="api-lane-purge"),
    path("targets/pause", targets.PauseTargetView.as_view(), name="api-target-pause"),
    path("targets/resume", targets.ResumeTargetView.as_view(), name="api-target-resume"),
    path("workers/<int:worker>/drain", lanes.DrainView.as_view(), name="api-worker-drain"),
    path("workers/<int:worker>/ping", lanes.PingView.as_view(), name="api-worker-ping"),
    path("workers/<int:worker>/resume", lanes.ResumeWorkerView.as_view(), name="api-worker-resume"),
    path("recipient-lists", recipient_lists.RecipientListsView.as_view(), name="api-recipient-lists"),
    path(
        "recipient-lists/<int:number>",
        recipient_lists.RecipientListView.as_view(),
        name="api-recipient-list",
    ),
    # Scheduled jobs (S1).
    path("scheduled-jobs", scheduled.ScheduledJobListView.as_view(), name="api-scheduled-jobs"),
    path("scheduled-jobs/<slug:slug>", scheduled.ScheduledJobView.as_view(), name="api-scheduled-job"),
    # About the API itself.
    path("schema", documents.SchemaView.as_view(), name="api-schema"),
    path("docs", documents.SwaggerView.as_view(), name="api-docs"),
    path("redoc", documents.RedocView.as_view(), name="api-redoc"),
    path("errors", documents.ProblemListView.as_view(), name="api-problems"),
    path("errors/<slug:code>", documents.ProblemView.as_view(), name="api-problem"),
    # Everything else is a problem, too, and no HTML page.
    path("<path:path>", problems.not_found),
]
