"""Reverting: puts the fields of one change back to what they were before it, if nobody changed them since."""

import json
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Model

from jobs import auditing
from jobs.changes import KEY, Change
from jobs.expectations import MASK
from jobs.inputs import unmasked
from triggers import dependencies
from triggers.models import ApiKey, Kind, Trigger

# What a key may do is settled when it is issued, and what ended it ended it for good.
_OF_KEYS: Final = frozenset({"name", "networks", "rate_limit", "enabled", "expires_at", "idle_days"})
_NEVER: Final = frozenset({"id", "public_id", "broken_reason"})


class RevertRefused(Exception):
    """A change that can't be taken back; the message says why."""


def permission(change: Change) -> str:
    """What somebody needs who takes `change` back."""
    app, _, model = change.model.partition(".")
    return f"{app}.change_{model}"


def is_revertible(change: Change) -> bool:
    """Whether `change` is one that can be taken back, if nothing came after it."""
    return change.act == "update" and not _stays(change)


def revert(change: Change) -> Model:
    """Puts the fields of `change` back and returns the object; the trail notes it as a change that reverts.

    Raises RevertRefused if the object is gone, a field was changed again, or the old values are not valid any more.
    """
    if change.act != "update":
        raise RevertRefused(f"Only changes can be taken back; here the {change.noun} was {change.verb}.")
    if stays := _stays(change):
        raise RevertRefused(f"{', '.join(stays)} can't be taken back.")
    auditing.note(reverts=change.pk)
    with transaction.atomic():
        if change.model == "triggers.trigger":
            dependencies.lock()  # before the row, in the order in which everybody takes the two
        found: Model = _object(change)
        _lay(found, change)
        _save(found, change)
    return found


def _stays(change: Change) -> list[str]:
    if change.model == KEY:
        return sorted(set(change.fields) - _OF_KEYS)
    return sorted({name for name in change.fields if name in _NEVER or name not in _columns(change)})


def _columns(change: Change) -> dict[str, Any]:
    model = apps.get_model(change.model)
    return {field.column: field for field in model._meta.concrete_fields}


def _object(change: Change) -> Any:
    manager = apps.get_model(change.model)._default_manager
    found = manager.select_for_update(of=("self",)).filter(pk=change.object_id).first()
    if found is None:
        raise RevertRefused(f"The {change.noun} {change.title} is gone.")
    if isinstance(found, ApiKey) and found.revoked_at is not None:
        raise RevertRefused(f"The key {found} is revoked: nothing of it changes any more.")
    return found


def _lay(found: Any, change: Change) -> None:
    columns, now = _columns(change), _row(found)
    for name, before, after in change.differences():
        hides = MASK in str(after)
        if not hides and now[name] != after:
            raise RevertRefused(
                f"{name} was changed again since: it is {now[name]!r} now, and not {after!r}."
            )
        value = unmasked(before, now[name])
        if hides and MASK in str(value):
            raise RevertRefused(f"{name} held a secret, of which only dots are kept.")
        field = columns[name]
        setattr(found, field.attname, None if value is None else field.to_python(value))


def _row(found: Model) -> dict[str, Any]:
    table = connection.ops.quote_name(found._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb(kept)::text FROM {table} kept WHERE id = %s", [found.pk])  # noqa: S608
        row: dict[str, Any] = json.loads(cursor.fetchone()[0])
    return row


def _save(found: Any, change: Change) -> None:
    columns = _columns(change)
    names = {columns[name].name for name in change.fields} | ({"updated_at"} & columns.keys())
    try:
        found.full_clean()
        if isinstance(found, Trigger) and found.kind == Kind.DEPENDENCY:
            dependencies.save(found, upstreams=list(found.upstreams.all()))
        else:
            found.save(update_fields=sorted(names))
    except ValidationError as error:
        raise RevertRefused(f"The old values are not valid any more: {' '.join(error.messages)}") from None
    except dependencies.CircularDependency as error:
        raise RevertRefused(str(error)) from None
