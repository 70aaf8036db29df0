"""How the admin shows a run: the columns of the list, and the fields of its page."""

import json
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import parameters
from jobs.panel import Panel
from runs.models import Run
from runs.templatetags import headway as marks
from runs.why import why


class RunColumns(Panel):
    """Runs: what is shown."""

    @admin.display(description="Run")
    def number(self, run: Run) -> str:
        """Its id."""
        return f"#{run.pk}"

    @admin.display(description="Its page")
    def page(self, run: Run) -> SafeString:
        """The run's own page, with log and attempts."""
        return format_html('<a href="{}">{}</a>', reverse("pages:run", args=[run.pk]), run.name)

    @admin.display(description="Status")
    def badge(self, run: Run) -> SafeString:
        """The badge of its status."""
        return marks.status(run)

    @admin.display(description="Job")
    def job_link(self, run: Run) -> SafeString:
        """Its job."""
        address = reverse("admin:jobs_job_change", args=[run.job_id])
        return format_html('<a href="{}">{}</a>', address, run.job.name)

    @admin.display(description="Trigger")
    def kind_mark(self, run: Run) -> SafeString:
        """The kind of its cause."""
        return marks.kind(run.trigger_kind, run.retry_of_id is not None)

    @admin.display(description="Why, and what came of it")
    def story(self, run: Any) -> SafeString:
        """Its cause, and the first line of its error."""
        error = (run.error_start or "").partition("\n")[0]
        line = format_html('<div class="error-line">{}</div>', error) if error else ""
        return format_html("{}{}", run.cause, line)

    @admin.display(description="Tries")
    def tries(self, run: Run) -> str:
        """Which attempt of how many."""
        return f"{run.attempt} of {run.max_attempts}" if run.attempt else "–"

    @admin.display(description="Waited")
    def wait_words(self, run: Run) -> str:
        """From queued to started."""
        return marks.duration(run.wait) or "–"

    @admin.display(description="Took")
    def duration_words(self, run: Run) -> str:
        """From the start of the last attempt to the end."""
        return marks.duration(run.duration) or "–"

    @admin.display(description="Launched")
    def launched(self, run: Run) -> SafeString:
        """When it was launched."""
        return marks.moment(run.created_at)

    @admin.display(description="Why it does not run")
    def why_not(self, run: Run) -> str:
        """The reason, for an open run that is not running."""
        reason = why(run)
        return reason.sentence if reason else "–"

    @admin.display(description="Parameters")
    def shown_parameters(self, run: Run) -> SafeString:
        """The parameters without their secrets."""
        return as_json(parameters.mask(run.job.schema, run.parameters))

    @admin.display(description="Result")
    def shown_result(self, run: Run) -> SafeString:
        """What it returned."""
        return as_json(run.result)

    @admin.display(description="Error")
    def error_text(self, run: Run) -> SafeString:
        """Type, message and trace of the last attempt's error."""
        if not run.error:
            return SafeString("–")
        error = {"type": "", "message": "", "traceback": "", **run.error}
        text = f"{error['type']}: {error['message']}\n\n{error['traceback']}".strip()
        return format_html('<pre class="error">{}</pre>', text)


def as_json(value: Any) -> SafeString:
    """A value as indented JSON."""
    if value is None:
        return SafeString("–")
    return format_html('<pre class="json">{}</pre>', json.dumps(value, ensure_ascii=False, indent=2))
