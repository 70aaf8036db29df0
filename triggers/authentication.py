"""Who calls the API: by key (`Token` or `Bearer`) or by the admin's session, and what they may do there.

A key acts with its scopes, for its owner; a person acts with their Django permissions. Keys are tried before
the session. Views name the scope a call needs (`required_scope`); `SCOPE_PERMISSIONS` says what a person needs.
"""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from triggers import keys
from triggers.models import ApiKey, Scope

SCHEMES = ("token", "bearer")
# What a person's session needs for what a key's scope allows.
SCOPE_PERMISSIONS = {
    Scope.READ: "runs.view_run",
    Scope.RUN: "jobs.run_job",
    Scope.CANCEL: "runs.cancel_run",
    Scope.WRITE: "jobs.change_job",
}


class ApiKeyAuthentication(BaseAuthentication):
    """Accepts `Authorization: Token hw_…` and `Authorization: Bearer hw_…`; `request.auth` is the key."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        """The key's owner and the key; None without a header of ours. Raises AuthenticationFailed."""
        scheme, _, text = get_authorization_header(request).partition(b" ")
        if scheme.lower().decode("latin-1") not in SCHEMES:
            return None
        key = keys.verify(text.strip().decode("latin-1"))
        if key is None:
            raise exceptions.AuthenticationFailed("This API key is unknown, revoked, expired or disabled.")
        address = request.META.get("REMOTE_ADDR")
        if not keys.may_call_from(key, address):
            raise exceptions.PermissionDenied(f"This API key may not be used from {address}.")
        keys.touch(key, address=address, now=timezone.now())
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        """Makes the answer to a missing key a 401 that says how to authenticate."""
        return 'Bearer realm="api"'


class ScopedPermission(BasePermission):
    """Allows a call whose key has the view's scope, or whose person has the matching permission.

    A view sets `required_scope`, or a mapping of HTTP method to scope; the default is `read` for safe methods
    and `write` for the others. Where people need another permission than the scope's, it sets
    `required_permission`.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the caller may do what the view is about at all; which jobs, the view itself decides."""
        if isinstance(request.user, AnonymousUser):
            return False
        scope = required_scope(request, view)
        if isinstance(request.auth, ApiKey):
            if scope in request.auth.scopes:
                return True
            raise exceptions.PermissionDenied(
                f"This API key has not the scope {scope!r}; it has {', '.join(request.auth.scopes) or 'none'}."
            )
        permission = getattr(view, "required_permission", None) or SCOPE_PERMISSIONS[Scope(scope)]
        return bool(request.user.is_active and request.user.has_perm(permission))


def required_scope(request: Request, view: Any) -> str:
    """The scope that this call needs."""
    wanted = getattr(view, "required_scope", None)
    if isinstance(wanted, dict):
        wanted = wanted.get(request.method)
    if wanted is None:
        wanted = Scope.READ if request.method in ("GET", "HEAD", "OPTIONS") else Scope.WRITE
    return str(wanted.value if isinstance(wanted, Scope) else wanted)
