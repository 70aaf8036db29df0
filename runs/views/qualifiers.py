"""What can be written into the search box beside plain words: `name:value`, each of which narrows the list of runs.

`job:` (a slug), `status:`, `trigger:` (a kind), `tag:`, `campaign:` (an id), `key:` (how an API key's public part
begins), `param.<name>:` and `metadata.<name>:` (exactly), `error:` (the type, or part of the message), `since:` (`2h`).
A value with spaces stands between double quotes. All but `error:` stand on an index; that one needs a bound in time.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from jobs.models import Job
from runs import status
from runs.faces import KINDS
from runs.labels import label_text
from runs.models import RunLabel
from runs.status import Status
from triggers.keys import PREFIX

_TOKEN: Final = re.compile(r'(?<!\S)([A-Za-z_][\w.-]*):("[^"]*"|\S+)(?!\S)')
_KEY: Final = re.compile(rf"{PREFIX}_[0-9a-f]+")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LABELS: Final = {"param.": RunLabel.Kind.PARAMETER, "metadata.": RunLabel.Kind.METADATA}
LONGEST: Final = 4  # digits of a number of units


@dataclass(frozen=True, slots=True)
class Qualifier:
    """One `name:value` as it was written, and what it asks of a run."""

    token: str
    name: str
    asks: Q


@dataclass(slots=True)
class Searched:
    """What a text says: its qualifiers, the words beside them, and sentences about what could not be read."""

    words: str
    qualifiers: list[Qualifier] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Whether it has a qualifier of that name."""
        return any(each.name == name for each in self.qualifiers)


def read(text: str) -> Searched:
    """What `text` says."""
    found = Searched(words=" ".join(_TOKEN.sub(" ", text).split()).removeprefix("#"))
    for match in _TOKEN.finditer(text):
        _add(found, match[0], match[1], match[2].strip('"'))
    if _KEY.fullmatch(found.words):
        token, found.words = found.words, ""
        _add(found, token, "key", token)
    return found


def _add(found: Searched, token: str, name: str, value: str) -> None:
    try:
        found.qualifiers.append(Qualifier(token, name, _asks(name, value)))
    except ValueError as error:
        found.errors.append(str(error))


def _asks(name: str, value: str) -> Q:
    """Raises ValueError, whose message is a sentence."""
    if name in _READERS:
        return _READERS[name](value)
    for prefix, kind in _LABELS.items():
        if name.startswith(prefix) and (key := name.removeprefix(prefix)):
            return _labelled(kind, key, value)
    known = ", ".join(f"{each}:" for each in (*_READERS, *(f"{prefix}<name>" for prefix in _LABELS)))
    raise ValueError(f"{name!r} is not known to the search: expected one of {known}.")


def _labelled(kind: str, key: str, value: str) -> Q:
    labels = RunLabel.objects.filter(kind=kind, key=key, value=label_text(value))
    return Q(pk__in=labels.values("run_id"))


def _job(value: str) -> Q:
    number = Job.objects.filter(slug=value).values_list("pk", flat=True).first()
    if number is None:
        raise ValueError(f"There is no job {value!r}.")
    return Q(job_id=number)


def _status(value: str) -> Q:
    try:
        return Q(status__in=[status.parse(word).value for word in value.split(",")])
    except status.UnknownStatus as error:
        raise ValueError(str(error)) from None


def _trigger(value: str) -> Q:
    if value not in KINDS:
        raise ValueError(f"{value!r} is not a known trigger: expected one of {', '.join(KINDS)}.")
    return Q(trigger_kind=value)


def _campaign(value: str) -> Q:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise ValueError(f"{value!r} is not the id of a campaign: expected a whole number.")
    return Q(campaign_id=int(value))


def _key(value: str) -> Q:
    return Q(api_key__public_id__startswith=value.removeprefix(f"{PREFIX}_"))


def _error(value: str) -> Q:
    return Q(status=Status.FAILED) & (Q(error__type__iexact=value) | Q(error__message__icontains=value))


def _since(value: str) -> Q:
    number, unit = value[:-1], value[-1:]
    if not (number.isascii() and number.isdigit() and len(number) <= LONGEST and unit in _UNITS):
        raise ValueError(f"{value!r} is not a stretch of time: expected one such as 30m, 2h, 3d or 1w.")
    return Q(created_at__gte=timezone.now() - timedelta(**{_UNITS[unit]: int(number)}))


_READERS: Final[Mapping[str, Callable[[str], Q]]] = {
    "job": _job,
    "status": _status,
    "trigger": _trigger,
    "tag": lambda value: _labelled(RunLabel.Kind.TAG, "", value),
    "campaign": _campaign,
    "key": _key,
    "error": _error,
    "since": _since,
}
