"""What a push to a git repository says, as GitHub and GitLab send it: which branch or tag, and which paths."""

from collections.abc import Iterator, Mapping
from typing import Any

from triggers.events.base import member


def pushed(payload: Any) -> dict[str, Any]:
    """The branch or tag that was pushed, and the paths that its commits touched; nothing for another event."""
    ref = member(payload, "ref")
    commits = payload.get("commits") if isinstance(payload, Mapping) else None
    if not ref.startswith("refs/") or not isinstance(commits, list):
        return {}
    return {
        "branch": ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else None,
        "tag": ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else None,
        "paths": sorted(set(_paths(commits))),
    }


def _paths(commits: list[Any]) -> Iterator[str]:
    for commit in commits:
        for change in ("added", "modified", "removed"):
            touched = commit.get(change) if isinstance(commit, Mapping) else None
            yield from (
                (path for path in touched if isinstance(path, str)) if isinstance(touched, list) else ()
            )
