"""Saved recipient lists: checks and stores what was sent, and reads it again for a campaign."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from runs import recipients, streams
from runs.launch import LaunchRefused
from runs.models import ListPart, RecipientList
from runs.plain import plain
from runs.streams import Line

_LINES_A_PART: Final = 1000


class ListRefused(LaunchRefused):
    """No list can be made of this; the message says which line is wrong, or which name is taken."""


def save(
    name: str, lines: Iterable[Line], *, is_text: bool, by: str, user: User | None = None
) -> RecipientList:
    """Saves a list under a name that no other has. Raises ListRefused, and what `lines` raises.

    Parameters are checked when a campaign is ordered for the list: which are right is said by the job.
    """
    found = RecipientList(name=plain(name)[:200], is_text=is_text, saved_by=by[:200], owner=user)
    with transaction.atomic():
        try:
            with transaction.atomic():
                found.save(force_insert=True)
        except IntegrityError:
            raise ListRefused(f"There is a recipient list {name!r} already.") from None
        waiting: list[str] = []
        for number, given in lines:
            waiting.append(_written(number, given))
            found.size += 1
            if len(waiting) == _LINES_A_PART:
                ListPart.objects.create(list=found, text="".join(waiting))
                waiting.clear()
        if not found.size:
            raise ListRefused("There is no recipient: no list was saved.")
        if waiting:
            ListPart.objects.create(list=found, text="".join(waiting))
        found.save(update_fields=["size"])
    found.refresh_from_db(fields=["created_at"])
    return found


def rename(found: RecipientList, *, name: str) -> None:
    """Gives the list another name. Raises ListRefused for an empty one and one that is taken."""
    name = plain(name).strip()[:200]
    if not name:
        raise ListRefused("A recipient list has a name: expected 1 to 200 characters.")
    try:
        with transaction.atomic():
            RecipientList.objects.filter(pk=found.pk).update(name=name)
    except IntegrityError:
        raise ListRefused(f"There is a recipient list {name!r} already.") from None
    found.name = name


class Listed:
    """The recipients of a list, as a campaign of a job with `schema` reads them."""

    def __init__(self, found: RecipientList, *, schema: Mapping[str, Any]) -> None:
        self._list, self._schema = found, schema

    def __iter__(self) -> Iterator[Line]:
        texts = self._list.parts.order_by("pk").values_list("text", flat=True)
        lines = iter(streams.Spooled(partial(texts.iterator, chunk_size=10)))
        return ((number, self._read(given)) for number, given in lines) if self._list.is_text else lines

    def _read(self, given: Any) -> Any:
        return {**given, "parameters": streams.read_cells(given["parameters"], self._schema)}


def _written(number: int, given: Any) -> str:
    if faults := recipients.faults_of(given):
        raise ListRefused(f"Line {number}: {faults[0].detail} No list was saved.")
    return json.dumps(plain(given)) + "\n"
