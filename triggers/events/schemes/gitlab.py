"""GitLab: the secret itself in `X-Gitlab-Token`; the body is not signed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from triggers.events import git
from triggers.events.base import Options, Received, Told, member, require, same
from triggers.events.schemes.plain_secret import PlainSecret


class GitLab(PlainSecret):
    """GitLab repeats a delivery under the same `Idempotency-Key`."""

    label = "GitLab"
    options: Mapping[str, Any] = {}
    sample: Mapping[str, Any] = {
        "object_kind": "push",
        "ref": "refs/heads/main",
        "project": {"path_with_namespace": "mike/diaspora"},
        "commits": [{"added": ["CHANGELOG"], "modified": ["app/controller/application.rb"], "removed": []}],
    }

    def verify(self, received: Received, *, secrets: Iterable[str], options: Options) -> None:
        """The token must be one of the secrets."""
        given = received.header("X-Gitlab-Token")
        require([same(given, secret) for secret in secrets])

    def read(self, received: Received, payload: Any, *, options: Options) -> Told:
        """The event is the payload's `object_kind` (`push`), else the header `X-Gitlab-Event`."""
        return Told(
            key=received.headers.get("idempotency-key", "").strip() or None,
            event=member(payload, "object_kind") or received.headers.get("x-gitlab-event", "").strip(),
            details=git.pushed(payload),
        )

    def sign(self, body: bytes, *, secret: str, key: str, at: datetime, options: Options) -> dict[str, str]:
        """A push."""
        return {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret, "Idempotency-Key": key}
