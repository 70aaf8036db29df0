"""The address /metrics: what Prometheus reads, for keys that may read all jobs and for the networks of a setting."""

import ipaddress
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from runs import metrics
from triggers.authentication import ScopedPermission
from triggers.models import ApiKey


class FromNetwork(BasePermission):
    """Allows calls from the networks of `HEADWAY_METRICS_NETWORKS`, with no key."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the address of the caller is in one of them."""
        try:
            caller = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
        except ValueError:
            return False
        caller = getattr(caller, "ipv4_mapped", None) or caller
        return any(caller in network for network in settings.METRICS_NETWORKS)


class OfAllJobs(ScopedPermission):
    """Allows what `read` allows, but for keys that may not see every job: metrics tell of all."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raises PermissionDenied with the reason."""
        allowed = super().has_permission(request, view)
        if isinstance(request.auth, ApiKey) and request.auth.restricted:
            raise PermissionDenied("This API key may see some jobs only; the metrics tell of all.")
        return allowed


class MetricsView(APIView):
    """Read the metrics."""

    schema = None
    permission_classes = [FromNetwork | OfAllJobs]

    def get(self, request: Request) -> HttpResponse:
        """Read the metrics in Prometheus' text format."""
        answer = HttpResponse(metrics.text(timezone.now()), content_type=metrics.CONTENT_TYPE)
        answer["Cache-Control"] = "no-store"
        return answer
