"""What the API says about itself: its root, its OpenAPI document, the two readers of that, and the errors."""

from functools import cache
from typing import Any

from csp.decorators import csp_update
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.api.catalogue import CATALOGUE

# Both readers are made of inline styles; nothing else on the site may have any.
_inline_styles = method_decorator(csp_update({"style-src": ["'unsafe-inline'"]}), name="dispatch")

ROOT = {
    "jobs": "jobs",
    "runs": "runs",
    "scheduled_jobs": "scheduled-jobs",
    "schedule_preview": "schedule/preview",
    "schema": "schema",
    "docs": "docs",
    "redoc": "redoc",
    "errors": "errors",
}


@require_safe
def root(request: HttpRequest) -> HttpResponse:
    """Where to go from `/api/`; no key is needed to read that."""
    return JsonResponse({name: request.build_absolute_uri(f"/api/{path}") for name, path in ROOT.items()})


class SchemaView(APIView):
    """The OpenAPI document, as JSON or, if asked for, as YAML; everybody may read it."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = (OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer)
    schema = None

    def get(self, request: Request) -> Response:
        return Response(document())


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, which can't change while the process lives."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return found


@_inline_styles
class SwaggerView(SpectacularSwaggerSplitView):
    """The API's description to try out, in Swagger UI."""

    url_name = "api-schema"
    template_name = "api/swagger.html"


@_inline_styles
class RedocView(SpectacularRedocView):
    """The API's description to read, in Redoc."""

    url_name = "api-schema"
    template_name = "api/redoc.html"


@require_safe
def problem_list(request: HttpRequest) -> HttpResponse:
    """Every kind of error the API answers with."""
    return render(request, "api/problems.html", {"problems": CATALOGUE.values()})


@require_safe
def problem_page(request: HttpRequest, code: str) -> HttpResponse:
    """What the `type` of a problem points to: what it means and what to do. Raises Http404."""
    if code not in CATALOGUE:
        raise Http404(f"There is no error called {code!r}.")
    return render(request, "api/problem.html", {"problem": CATALOGUE[code]})
