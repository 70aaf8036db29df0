"""Decides which failures are alike: the same type of error with the same message, but for what names one case."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from itertools import islice
from typing import Any, Final

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left

from runs import failures
from runs.models import Campaign, Run

# Only the newest failures are looked at: groups are a help, not a statistic.
LIMIT: Final = 2000
_MESSAGE_LENGTH: Final = 300
# From the special to the general: what differs from one case to the next.
_PARTICULARS: Final = (
    (re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"), "…"),
    (re.compile(r"[^\s@'\"<>]{1,64}@[\w.-]+"), "…"),
    (re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”"), "'…'"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{12,}\b"), "…"),
    (re.compile(r"\d+"), "…"),
)


@dataclass(slots=True, kw_only=True)
class ErrorGroup:
    """Failures that are alike; `sample` is the newest of them."""

    fingerprint: str
    type: str
    message: str
    count: int
    sample: int
    last_at: datetime | None


def normalised(message: str) -> str:
    """The first line of a message without what names one case: numbers, quoted texts, addresses."""
    text = message.partition("\n")[0]
    for pattern, sign in _PARTICULARS:
        text = pattern.sub(sign, text)
    return text.strip()


def fingerprint(kind: str, message: str) -> str:
    """A short text that alike failures share."""
    return blake2s(f"{kind}\0{normalised(message)}".encode(), digest_size=6).hexdigest()


def of_campaign(campaign: Campaign) -> list[ErrorGroup]:
    """The groups among the campaign's newest failures, the largest first; `count` is of these."""
    return _grouped(_failed(campaign).order_by("-pk")[:LIMIT])


def left_in(campaign: Campaign, mark: str) -> list[int]:
    """The runs of a group, by its fingerprint, among the campaign's newest failures that were not retried yet."""
    left = islice(failures.left(_failed(campaign)), LIMIT)
    return [number for number, given, text, reason, _ in left if _mark(given, text, reason) == mark]


def _failed(campaign: Campaign) -> QuerySet[Run, tuple[Any, ...]]:
    """What groups are made of."""
    return (
        Run.objects.filter(campaign=campaign, status=Run.Status.FAILED)
        .annotate(
            kind=KeyTextTransform("type", "error"),
            message=Left(KeyTextTransform("message", "error"), _MESSAGE_LENGTH),
        )
        .values_list("pk", "kind", "message", "failure_reason", "finished_at")
    )


def _mark(given: str | None, text: str | None, reason: str) -> str:
    return fingerprint(given or str(reason), text or "")


def _grouped(rows: Iterable[tuple[Any, ...]]) -> list[ErrorGroup]:
    groups: dict[str, ErrorGroup] = {}
    for number, given, text, reason, at in rows:
        kind, message = given or str(reason), text or ""
        mark = _mark(given, text, reason)
        if mark in groups:
            groups[mark].count += 1
        else:
            groups[mark] = ErrorGroup(
                fingerprint=mark, type=kind, message=normalised(message), count=1, sample=number, last_at=at
            )
    return sorted(groups.values(), key=lambda group: -group.count)
