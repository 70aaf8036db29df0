"""What every template knows about the site it is shown on."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, dict[str, object]]:
    """`site.environment` is the badge that keeps people from taking one site for another; may be empty."""
    return {"site": {"environment": settings.ENV_NAME, "commit": settings.COMMIT, "demo": settings.DEMO}}
