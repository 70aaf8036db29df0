"""What the API says about itself: its root, its OpenAPI document, the two readers of that, and the errors."""

from dataclasses import asdict
from functools import cache
from typing import Any

from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer2
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer, TemplateHTMLRenderer
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


class RootView(APIView):
    """Where to go from `/api/`; no key is needed to read that."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    schema = None

    def get(self, request: Request) -> Response:
        return Response({name: request.build_absolute_uri(f"/api/{path}") for name, path in ROOT.items()})


class SchemaView(APIView):
    """The OpenAPI document, as JSON or, if asked for, as YAML; everybody may read it."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = (OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer2)
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


class ProblemPage(APIView):
    """A page for people who follow the `type` of a problem; a program that accepts JSON gets that."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (AllowAny,)
    renderer_classes = (TemplateHTMLRenderer, JSONRenderer)
    schema = None


class ProblemListView(ProblemPage):
    """Every kind of error the API answers with."""

    def get(self, request: Request) -> Response:
        problems = [asdict(kind) for kind in CATALOGUE.values()]
        return Response({"problems": problems}, template_name="api/problems.html")


class ProblemView(ProblemPage):
    """What one kind of error means and what to do."""

    def get(self, request: Request, code: str) -> Response:
        if code not in CATALOGUE:
            raise NotFound(f"There is no error called {code!r}.")
        return Response({"problem": asdict(CATALOGUE[code])}, template_name="api/problem.html")
