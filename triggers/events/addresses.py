"""Where the deliveries of an event trigger are sent to."""

from django.conf import settings
from django.http import HttpRequest

from triggers.models import Trigger


def address_of(trigger: Trigger, request: HttpRequest | None = None) -> str:
    """The address, as a sender must write it; without a PUBLIC_URL it is that of `request`, or only its path."""
    path = f"/api/events/{trigger.public_id}"
    if not settings.PUBLIC_URL and request is not None:
        return request.build_absolute_uri(path)
    return f"{str(settings.PUBLIC_URL).rstrip('/')}{path}"
