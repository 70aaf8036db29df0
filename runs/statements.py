"""Runs the few statements that every run goes through as prepared ones: planning them anew costs more than they do."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final, TypeVar

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.rows import RowFactory, dict_row, tuple_row

# Django switches prepared statements off. With a number that no statement reaches by being repeated, those of
# this module are prepared, and no other.
_NEVER_BY_ITSELF: Final = 1_000_000_000

Answer = TypeVar("Answer")
Statement = tuple[str, Sequence[Any] | Mapping[str, Any]]
Rows = list[dict[str, Any]]
# For whoever takes hundreds of rows: to make a dictionary of each costs as much as to read it.
Tuples = list[tuple[Any, ...]]


def planned(statement: str, arguments: Sequence[Any] | Mapping[str, Any]) -> Rows:
    """The rows of a statement that is planned each time, by what its tables hold now.

    Values are bound by the server, so a literal percent sign is written twice and a parameter may need a
    cast. Raises Django's database errors.
    """
    return _planned(statement, arguments, dict_row)


def planned_tuples(statement: str, arguments: Sequence[Any]) -> Tuples:
    """As `planned`, without names."""
    return _planned(statement, arguments, tuple_row)


def _planned(
    statement: str, arguments: Sequence[Any] | Mapping[str, Any], rows: RowFactory[Answer]
) -> list[Answer]:
    with connection.wrap_database_errors, psycopg.Cursor(_raw(), row_factory=rows) as cursor:
        return cursor.execute(statement, arguments).fetchall()


def together(*statements: Statement) -> list[Rows]:
    """The rows of each of the prepared statements: one way to the database and back, and one transaction.

    A plan lives with the connection and may be older than what fills its tables, so a statement that must not
    walk through `runs_run` belongs into a function that forbids it (`runs_claim`, `runs_settle`). Values are
    bound as by `planned`. Raises Django's database errors.
    """
    return _together(statements, dict_row)


def together_tuples(*statements: Statement) -> list[Tuples]:
    """As `together`, without names."""
    return _together(statements, tuple_row)


def _together(statements: Sequence[Statement], rows: RowFactory[Answer]) -> list[list[Answer]]:
    with connection.wrap_database_errors:
        raw = _raw()
        cursors = [psycopg.Cursor(raw, row_factory=rows) for _ in statements]
        with raw.pipeline() if len(statements) > 1 else nullcontext():
            for cursor, (statement, arguments) in zip(cursors, statements, strict=True):
                cursor.execute(statement, arguments, prepare=True)
        return [cursor.fetchall() for cursor in cursors]


# Up to which run id the plans of this process are good.
_good_until = 0
_FEW: Final = 1_000


def grown_to(run_id: int) -> bool:
    """Has this connection plan its statements anew if there are twice as many runs as when it last did, by their ids.

    While a table is a page or two, to read it whole is as cheap as to look one row up, and the plan of a claim or a
    settlement that says so stays until the table is analysed: a claim of one run read the 60,000 of a campaign that
    had come since, which took 50 ms. Returns whether it was time. Raises Django's database errors.
    """
    global _good_until  # noqa: PLW0603 - a process has one connection that plans
    if run_id <= _good_until:
        return False
    with connection.wrap_database_errors:
        _raw().execute("DISCARD PLANS")
    _good_until = 2 * run_id + _FEW
    return True


def _raw() -> "psycopg.Connection[Any]":
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    if raw.prepare_threshold is None and settings.PREPARED_STATEMENTS:
        raw.prepare_threshold = _NEVER_BY_ITSELF
    return raw
