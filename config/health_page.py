"""The page /health/: whether the site can do its work, and what to do where it can't."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config import health
from runs.views.access import VIEW_RUNS, permitted


@permitted(VIEW_RUNS)
@require_GET
def health_page(request: HttpRequest) -> HttpResponse:
    """The checks of `/readyz` and `manage.py doctor`; 200 even if some fail, for the page itself is well."""
    checks = health.look()
    return render(
        request, "health/health.html", {"checks": checks, "missing": sum(not check.ok for check in checks)}
    )
