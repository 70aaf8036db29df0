"""GitHub: `X-Hub-Signature-256`, the hexadecimal HMAC-SHA256 of the body."""

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from triggers.events import git
from triggers.events.base import Options, Received, Told, require, same
from triggers.events.schemes.plain_secret import PlainSecret


class GitHub(PlainSecret):
    """GitHub signs no time: what keeps a captured delivery from being sent again is its id and TLS."""

    label = "GitHub"
    options: Mapping[str, Any] = {}
    sample: Mapping[str, Any] = {
        "ref": "refs/heads/main",
        "repository": {"full_name": "octocat/hello-world"},
        "commits": [{"added": ["docs/a.md"], "modified": ["src/app.py"], "removed": []}],
        "head_commit": {"id": "6dcb09b5b57875f334f61aebed695e2e4193db5e"},
    }

    def verify(self, received: Received, *, secrets: Iterable[str], options: Options) -> None:
        """By the header of SHA-256; the one of SHA-1, which GitHub sends as well, is passed over."""
        given = received.header("X-Hub-Signature-256")
        require([same(given, _signature(secret, received.body)) for secret in secrets])

    def read(self, received: Received, payload: Any, *, options: Options) -> Told:
        """The event stands in `X-GitHub-Event`; `ping` is what GitHub sends when the hook is made."""
        event = received.headers.get("x-github-event", "").strip()
        return Told(
            key=received.headers.get("x-github-delivery", "").strip() or None,
            event=event,
            details=git.pushed(payload),
            quiet=event == "ping",
        )

    def sign(self, body: bytes, *, secret: str, key: str, at: datetime, options: Options) -> dict[str, str]:
        """A push."""
        signature = _signature(secret, body)
        return {"X-GitHub-Event": "push", "X-GitHub-Delivery": key, "X-Hub-Signature-256": signature}


def _signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()
