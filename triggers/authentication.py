"""Who calls the API: by key (`Token` or `Bearer`) or by the admin's session, and what they may do there.

A key acts with its scopes, for its owner; a person acts with their Django permissions. Keys are tried before
the session. Views name the scope a call needs (`required_scope`); `SCOPE_PERMISSIONS` says what a person needs.
A scope counts for as long as the key's owner has its permission: who loses one takes it from their keys at once.
"""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from triggers import key_use, keys, limits
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
        """The key's owner and the key; None without a header of ours.

        Raises AuthenticationFailed, PermissionDenied, and `triggers.limits.LimitReached`.
        """
        scheme, _, text = get_authorization_header(request).partition(b" ")
        if scheme.lower().decode("latin-1") not in SCHEMES:
            return None
        key = keys.verify(text.strip().decode("latin-1"))
        if key is None:
            raise exceptions.AuthenticationFailed("This API key is unknown, revoked, expired or disabled.")
        address = request.META.get("REMOTE_ADDR")
        if not keys.may_call_from(key, address):
            raise exceptions.PermissionDenied(f"This API key may not be used from {address}.")
        now = timezone.now()
        keys.touch(key, address=address, now=now)
        key_use.called(key, slug=_slug(request), now=now)
        limits.take_of_key(key)
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
            _check_scope(request.auth, Scope(scope))
            return True
        permission = getattr(view, "required_permission", None) or SCOPE_PERMISSIONS[Scope(scope)]
        return bool(request.user.is_active and request.user.has_perm(permission))


def scopes_of(key: ApiKey) -> list[str]:
    """The key's scopes that count: those whose permission its owner has."""
    return [scope for scope in key.scopes if key.owner.has_perm(SCOPE_PERMISSIONS[Scope(scope)])]


def _check_scope(key: ApiKey, scope: Scope) -> None:
    if scope not in key.scopes:
        raise exceptions.PermissionDenied(
            f"This API key has not the scope {scope.value!r}; it has {', '.join(key.scopes) or 'none'}."
        )
    permission = SCOPE_PERMISSIONS[scope]
    if not key.owner.has_perm(permission):
        raise exceptions.PermissionDenied(
            f"This API key has the scope {scope.value!r}, but {key.owner.get_username()}, who owns it, lacks the "
            f"permission {permission} now."
        )


def _slug(request: Request) -> str:
    """The job that the address is about, as it is written there."""
    parts = (request.parser_context or {}).get("kwargs") or {}
    return str(parts.get("slug", ""))


def required_scope(request: Request, view: Any) -> str:
    """The scope that this call needs."""
    wanted = getattr(view, "required_scope", None)
    if isinstance(wanted, dict):
        wanted = wanted.get(request.method)
    if wanted is None:
        wanted = Scope.READ if request.method in ("GET", "HEAD", "OPTIONS") else Scope.WRITE
    return str(wanted.value if isinstance(wanted, Scope) else wanted)
