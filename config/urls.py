"""Every address of the site: admin, API, pages."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from config.api.documents import RootView
from runs.api.metrics import MetricsView

admin.autodiscover()

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api", RootView.as_view(), name="api-root"),
    path("api/", include("config.api_urls")),
    *([path("demo/", include("demo.urls"))] if settings.DEMO else []),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("", include("runs.urls")),
]

# Under /api/ even Django's own errors are problem+json.
handler400 = "config.api.problems.bad_request"
handler403 = "config.api.problems.permission_denied"
handler404 = "config.api.problems.page_not_found"
handler500 = "config.api.problems.server_error"
