"""Reading what a page of the admin says."""

import html
import re
from typing import Any

from django.test import Client
from django.urls import reverse


def address(name: str, *args: Any) -> str:
    """`address("jobs_job_run", 3)` → /admin/jobs/job/3/run/."""
    return reverse(f"admin:{name}", args=args)


def text_of(response: Any) -> str:
    """The answer's text as people read it, without tags."""
    body = re.sub(r"<(script|style).*?</\1>", "", response.content.decode(), flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)))


def form_of(client: Client, url: str) -> dict[str, Any]:
    """What the browser would send if the form of `url` were saved as it is."""
    context = client.get(url).context
    sent: dict[str, Any] = _fields_of(context["adminform"].form)
    for inline in context.get("inline_admin_formsets", ()):
        sent |= _fields_of(inline.formset.management_form)
        for form in inline.formset:
            sent |= _fields_of(form)
    return sent


def _fields_of(form: Any) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        # Django wraps the widgets of relations in one with links around them.
        widget = getattr(bound.field.widget, "widget", bound.field.widget)
        if getattr(widget, "allow_multiple_selected", False):
            sent[bound.html_name] = [getattr(part, "pk", part) for part in value or []]
        elif isinstance(value, bool):
            sent |= {bound.html_name: "on"} if value else {}
        else:
            shown = widget.format_value(value)
            sent[bound.html_name] = (shown[0] if isinstance(shown, list) else shown) or ""
    return sent
