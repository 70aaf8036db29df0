"""Reverting: takes one change back, if nobody changed the same since.

Changed fields are put back here; what was made, deleted, or put on a list is `triggers.restoring`'s.
"""

import json
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Model

from jobs import auditing
from jobs.changes import KEY, TRIGGER, Change
from jobs.expectations import MASK
from jobs.inputs import unmasked
from triggers import dependencies, restoring, watching
from triggers.models import ApiKey, Kind, Source, Trigger
from triggers.restoring import SECRETS, RevertRefused

# What a key may do is settled when it is issued, and what ended it ended it for good.
_OF_KEYS: Final = frozenset({"name", "networks", "rate_limit", "enabled", "expires_at", "idle_days"})
REVERTIBLE: Final = frozenset(
    {"jobs.job", TRIGGER, KEY, "triggers.calendar", "triggers.source"}
    | {"notifications.channel", "notifications.rule"}
)
# Of a secret that was given nothing is kept that could be given again.
_FINAL_PARTS: Final = frozenset({"secrets"})
_NEVER: Final = frozenset({"id", "public_id", "broken_reason", *SECRETS})


def permission(change: Change) -> str:
    """What somebody needs who takes `change` back."""
    app, _, model = change.model.partition(".")
    whole = change.model != KEY and not change.is_part
    act = {"insert": "delete", "delete": "add"}.get(change.act, "change") if whole else "change"
    return f"{app}.{act}_{model}"


def is_revertible(change: Change) -> bool:
    """Whether `change` is one that can be taken back, if nothing came after it."""
    if change.model not in REVERTIBLE or _is_final(change):
        return False
    if change.act == "update":
        return not _stays(change)
    return change.model != KEY or (change.act == "insert" and not change.is_part)


def revert(change: Change) -> None:
    """Takes `change` back; the trail notes that as a change that reverts.

    Raises RevertRefused if the object is gone, the same was changed again, or the old values are not valid any more.
    """
    if change.model not in REVERTIBLE:
        raise RevertRefused(f"What was done to a {change.noun} can't be taken back from here.")
    if change.model == KEY and (change.is_part or change.act == "delete"):
        raise RevertRefused("What a key may do is settled when it is issued, and its end is final.")
    if _is_final(change):
        raise RevertRefused(
            "A secret is neither put back nor taken away from here: give the trigger another."
        )
    if change.act == "update" and (stays := _stays(change)):
        raise RevertRefused(_kept_back(stays))
    auditing.note(reverts=change.pk)
    try:
        with transaction.atomic():
            if change.model == TRIGGER:
                dependencies.lock()  # before the row, in the order in which everybody takes the two
            _take_back(change)
    except ValidationError as error:
        raise RevertRefused(f"The old values are not valid any more: {' '.join(error.messages)}") from None
    except dependencies.CircularDependency as error:
        raise RevertRefused(str(error)) from None


def _is_final(change: Change) -> bool:
    return change.is_part and change.fields[0] in _FINAL_PARTS


def _kept_back(names: list[str]) -> str:
    if SECRETS.keys() & set(names):
        return "A secret was given with it, and the one before is not kept: nothing of it can be taken back."
    return f"{', '.join(names)} can't be taken back."


def _take_back(change: Change) -> None:
    if change.act == "delete" and not change.is_part:
        restoring.remake(change)
        return
    found = _object(change)
    if change.is_part:
        restoring.list_item(change, found)
    elif change.act == "insert":
        restoring.unmake(change, found)
    else:
        _lay(found, change)
        _save(found, change)


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
    found.full_clean()
    if isinstance(found, Trigger) and found.kind == Kind.DEPENDENCY:
        dependencies.save(found, upstreams=list(found.upstreams.all()))
    elif isinstance(found, Source):
        watching.save(found)
    else:
        found.save(update_fields=sorted(names))
