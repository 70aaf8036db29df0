"""What `GET /api/runs` can be filtered by.

Every filter stands on an index, or needs a time bound and says so: no list may scan ten million runs.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from django_filters import CharFilter, FilterSet
from drf_spectacular.utils import extend_schema_field

from jobs import wire
from jobs.expectations import shown
from jobs.faults import Fault
from jobs.priority import LANES
from jobs.wire import InvalidQuery
from runs import status
from runs.launch import label_text
from runs.models import Run, RunLabel, TriggerKind
from runs.models.run import RunQuerySet
from runs.status import FailureReason, Status
from triggers.keys import PREFIX as KEY_PREFIX
from triggers.visibility import visible_jobs

Word = TypeVar("Word")

LABELS: Final = {"metadata.": RunLabel.Kind.METADATA, "parameter.": RunLabel.Kind.PARAMETER}
LARGEST_ID: Final = 2**63 - 1
_UNINDEXED: Final = "needs `created_after`"
_ID: Final = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
_KEY: Final = {"type": "string", "pattern": f"^({KEY_PREFIX}_)?[0-9a-f]{{8,16}}$"}
_NAME: Final = {"type": "string", "minLength": 1}


def _words(known: Iterable[str]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "enum": list(known)}, "minItems": 1}


def _filter(schema: wire.Schema, method: str, help_text: str) -> CharFilter:
    # A class of its own: the description of a filter is kept on its class.
    made: CharFilter = extend_schema_field({**schema, "description": help_text})(
        type("RunCharFilter", (CharFilter,), {})
    )(method=method, label=help_text, strip=False)
    return made


class RunFilter(FilterSet):
    """The filters of `GET /api/runs`. Words may be repeated or have commas between them: any of them.

    `metadata.<key>` and `parameter.<key>` are known by their beginning. Reading `qs` raises InvalidQuery.
    """

    prefixes = tuple(LABELS)

    status = _filter(_words([*Status.values, *status.ALIASES]), "by_status", "The documents' words, too.")
    job = _filter(_NAME, "by_job", "The job's slug, or several.")
    trigger = _filter(_words(TriggerKind.values), "by_kind", "The trigger kind: why the run exists.")
    trigger_id = _filter(_ID, "by_id", "The trigger that caused it.")
    api_key = _filter(_KEY, "by_key", "The public part of the key that caused it: `hw_7f3a01bc`.")
    tag = _filter(_NAME, "by_tag", "A tag it has; of several all.")
    parent = _filter(_ID, "by_id", "The run that caused it.")
    root = _filter(_ID, "by_id", "The first run of its chain.")
    campaign = _filter(_ID, "by_id", "The campaign it belongs to.")
    retry_of = _filter(_ID, "by_id", "The run that it repeats.")
    lane = _filter(_words(LANES), "by_lane", f"The lane; {_UNINDEXED}.")
    failure_reason = _filter(_words(FailureReason.values), "by_failure", f"How it failed; {_UNINDEXED}.")
    created_after = _filter(wire.INSTANT, "by_time", "Made at this instant or later.")
    created_before = _filter(wire.INSTANT, "by_time", "Made before this instant.")
    search = _filter(_NAME, "by_name", "Its id or its name.")

    class Meta:
        model = Run
        fields: list[str] = []

    def filter_queryset(self, queryset: RunQuerySet) -> RunQuerySet:
        """Applies the labels, then what is declared above."""
        for name in self.data:
            for prefix, kind in LABELS.items():
                if name.startswith(prefix):
                    queryset = _labelled(queryset, kind, name.removeprefix(prefix), self._texts(name))
        filtered: RunQuerySet = super().filter_queryset(queryset)
        return filtered

    def by_status(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        return queryset.filter(status__in=self._each(name, status.parse))

    def by_job(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        slugs = self._split(name)
        known = dict(
            visible_jobs(getattr(self.request, "auth", None)).filter(slug__in=slugs).values_list("slug", "pk")
        )
        for slug in slugs:
            if slug not in known:
                raise _refused(name, f"There is no job {shown(slug)}.")
        return queryset.filter(job__in=known.values())

    def by_kind(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        kinds = self._each(name, lambda text: _one_of(text, TriggerKind.values))
        if TriggerKind.CAMPAIGN in kinds and not self.data.get("campaign"):
            self._need_bound(name, "trigger=campaign")
        return queryset.filter(trigger_kind__in=kinds)

    def by_id(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        return queryset.filter(**{name.removesuffix("_id"): self._one(name, _id)})

    def by_key(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        return queryset.filter(api_key__public_id=self._one(name, _key))

    def by_tag(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        return _labelled(queryset, RunLabel.Kind.TAG, "", self._split(name))

    def by_lane(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        self._need_bound(name)
        return queryset.filter(lane__in=self._each(name, lambda text: _one_of(text, LANES)))

    def by_failure(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        self._need_bound(name)
        reasons = self._each(name, lambda text: _one_of(text, FailureReason.values))
        return queryset.filter(status=Status.FAILED, failure_reason__in=reasons)

    def by_time(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        comparison = "created_at__gte" if name == "created_after" else "created_at__lt"
        return queryset.filter(**{comparison: self._one(name, wire.instant)})

    def by_name(self, queryset: RunQuerySet, name: str, value: str) -> RunQuerySet:
        return queryset.named(self._one(name, str))

    def _texts(self, name: str) -> list[str]:
        texts: list[str] = self.data.getlist(name)
        return texts

    def _split(self, name: str) -> list[str]:
        return [word for text in self._texts(name) for word in text.split(",")]

    def _each(self, name: str, read: Callable[[str], Word]) -> list[Word]:
        return [_read(name, text, read) for text in self._split(name)]

    def _one(self, name: str, read: Callable[[str], Word]) -> Word:
        if len(texts := self._texts(name)) > 1:
            raise _refused(name, f"{name!r} was given more than once.")
        return _read(name, texts[0], read)

    def _need_bound(self, name: str, shown_as: str = "") -> None:
        if not self.data.get("created_after"):
            raise _refused(name, f"{shown_as or name!r} {_UNINDEXED} beside it: it has no index of its own.")


def _labelled(runs: RunQuerySet, kind: RunLabel.Kind, key: str, values: list[str]) -> RunQuerySet:
    """The runs that have the label with each of `values`."""
    for value in values:
        labels = RunLabel.objects.filter(kind=kind, key=key, value=label_text(value))
        runs = runs.filter(pk__in=labels.values("run_id"))
    return runs


def _read(name: str, text: str, read: Callable[[str], Word]) -> Word:
    try:
        return read(text)
    except ValueError as error:
        raise _refused(name, f"{name!r}: {error}") from None


def _refused(name: str, detail: str) -> InvalidQuery:
    return InvalidQuery([Fault(pointer=f"/{name}", code="value", detail=detail)])


def _one_of(text: str, known: Iterable[str]) -> str:
    if text in known:
        return text
    raise ValueError(f"{shown(text)} is unknown; expected one of {', '.join(known)}.")


def _id(text: str) -> int:
    if re.fullmatch("[0-9]{1,19}", text) and 0 < int(text) <= LARGEST_ID:
        return int(text)
    raise ValueError(f"{shown(text)} is no id; expected a whole number from 1 to {LARGEST_ID}.")


def _key(text: str) -> str:
    if re.fullmatch(_KEY["pattern"], text):
        return text.removeprefix(f"{KEY_PREFIX}_")
    raise ValueError(f"{shown(text)} is not the public part of a key; expected one such as hw_7f3a01bc.")
