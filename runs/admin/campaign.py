"""The admin of campaigns: which there are and how far each is, with the buttons of their pages."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs import parameters
from jobs.buttons import button
from jobs.keyset import KeysetList
from jobs.panel import ReadOnlyPanel
from runs import campaigns, launch, orders, progress, tending
from runs.models import Campaign
from runs.models.campaign import CAMPAIGN_MOVES, CampaignStatus
from runs.templatetags.headway import moment

_SHOWN = (
    (None, {"fields": ("page", "status", "paused_by", "paused_reason", "cause")}),
    ("What", {"fields": ("job", "shown_parameters", "total", "invalid", "duplicates")}),
    ("How it goes", {"fields": ("rate_per_second", "window", "canary", "stop_on_failure_rate", "start_at")}),
    ("How far it is", {"fields": ("numbers", "created_at", "started_at", "finished_at")}),
    ("Who did what", {"fields": ("timeline",)}),
)


def _may(to: CampaignStatus, *without: CampaignStatus) -> Any:
    """Whether a campaign may move to `to` from where it stands."""
    return lambda campaign: campaign.status not in without and to in CAMPAIGN_MOVES.get(campaign.status, ())


@admin.register(Campaign)
class CampaignAdmin(ReadOnlyPanel):
    """Campaigns: the list, and what one does with them."""

    # Added: never, campaigns are ordered (`/campaigns/new/`).
    # Changed: never, what can be changed is changed by its own verbs.
    # Deleted: never, its runs name it.

    list_display = ["number", "name", "status", "job", "numbers", "rate_per_second", "cause", "started"]
    list_filter = ["status"]
    list_select_related = ["job"]
    search_fields = ["name"]
    sortable_by = ()
    row_buttons: ClassVar = ["pause", "resume", "cancel"]
    page_buttons: ClassVar = ["pause", "resume", "cancel", "retry_failed", "duplicate"]
    refusals: ClassVar = (launch.LaunchRefused, parameters.InvalidParameters)
    fieldsets: ClassVar[Any] = _SHOWN

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetList]:
        """The list that counts nothing."""
        return KeysetList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        """Campaigns with the job whose schema says what is secret."""
        found: QuerySet[Campaign] = super().get_queryset(request)
        return found.select_related("job")

    @button("Pause", permission="jobs.run_job", offered=_may(CampaignStatus.PAUSED))
    def pause(self, request: HttpRequest, campaign: Campaign) -> str:
        """Lets nothing more of it start."""
        campaigns.pause(campaign, by=request.user.get_username())
        return f"Paused campaign #{campaign.pk}."

    @button("Resume", permission="jobs.run_job", offered=lambda campaign: campaign.status == "paused")
    def resume(self, request: HttpRequest, campaign: Campaign) -> str:
        """Lets it go on."""
        campaigns.resume(campaign, by=request.user.get_username())
        tending.at_once(campaign)
        return f"Resumed campaign #{campaign.pk}."

    @button(
        "Cancel",
        permission="runs.cancel_run",
        offered=lambda campaign: not campaign.is_final and campaign.status != "cancelling",
        danger=True,
    )
    def cancel(self, request: HttpRequest, campaign: Campaign) -> str:
        """Ends what is open of it."""
        campaigns.cancel(campaign, by=request.user.get_username())
        tending.at_once(campaign)
        return f"Campaign #{campaign.pk} is {campaign.status}."

    @button(
        "Retry failed",
        permission="runs.retry_run",
        offered=lambda campaign: campaign.status in ("running", "done"),
    )
    def retry_failed(self, request: HttpRequest, campaign: Campaign) -> str:
        """Launches each failed run once more."""
        campaigns.retry_failed(campaign, by=request.user.get_username())
        tending.at_once(campaign)
        return f"Retried what failed of campaign #{campaign.pk}."

    @button("Duplicate", permission="jobs.run_job")
    def duplicate(self, request: HttpRequest, campaign: Campaign) -> SafeString:
        """Makes a draft like it."""
        made = orders.duplicate(campaign, user=request.user)  # type: ignore[arg-type] # only users log in
        return format_html('Made the draft <a href="{}">#{}</a>.', _address(made), made.pk)

    @admin.display(description="Campaign")
    def number(self, campaign: Campaign) -> str:
        """Its id, as people write it."""
        return f"#{campaign.pk}"

    @admin.display(description="Page")
    def page(self, campaign: Campaign) -> SafeString:
        """A link to its page, where its recipients and errors are."""
        return format_html('<a href="{}">Campaign #{}</a>', _address(campaign), campaign.pk)

    @admin.display(description="Runs")
    def numbers(self, campaign: Campaign) -> str:
        """How far it is; counters, no runs are counted."""
        seen = progress.of_campaign(campaign)
        ended = f"{seen.succeeded} succeeded, {seen.failed} failed, {seen.skipped} skipped"
        return f"{seen.ended} of {seen.runs} ended: {ended}, {seen.cancelled} cancelled"

    @admin.display(description="Started")
    def started(self, campaign: Campaign) -> SafeString:
        """When its first runs were made."""
        return moment(campaign.started_at)

    @admin.display(description="Shared parameters")
    def shown_parameters(self, campaign: Campaign) -> str:
        """What all recipients share, without secrets."""
        given = parameters.mask(campaign.job.schema, campaign.parameters)
        return ", ".join(f"{name}: {value}" for name, value in given.items()) or "none"

    @admin.display(description="Timeline")
    def timeline(self, campaign: Campaign) -> SafeString:
        """The newest acts."""
        rows = (
            (moment(event.at), event.act, event.actor or "by itself", event.detail)
            for event in campaign.events.all()[:20]
        )
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{} {}: {} {}</li>", rows))


def _address(campaign: Campaign) -> str:
    return reverse("pages:campaign", args=[campaign.pk])
