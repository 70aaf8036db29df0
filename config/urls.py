"""Every address of the site: admin, API, pages."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from config.api.documents import RootView
from config.health_page import health_page
from runs.api.metrics import MetricsView

admin.autodiscover()
# The pages' login as well: whoever may see runs need not be of the staff, whom alone the admin then lets in.
admin.site.login_form = AuthenticationForm
# As the pages and our own columns write it.
admin.site.empty_value_display = "–"

urlpatterns = [
    path("admin/", admin.site.urls),
    # The admin's own lets its staff only out.
    path("logout/", LogoutView.as_view(next_page="admin:login"), name="logout"),
    path("api", RootView.as_view(), name="api-root"),
    path("api/", include("config.api_urls")),
    *([path("demo/", include("demo.urls"))] if settings.DEMO else []),
    path("health/", health_page, name="health"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("", include("runs.urls")),
]

# Under /api/ even Django's own errors are problem+json.
handler400 = "config.api.problems.bad_request"
handler403 = "config.api.problems.permission_denied"
handler404 = "config.api.problems.page_not_found"
handler500 = "config.api.problems.server_error"
