"""Runs the few statements that every run goes through as prepared ones: planning them anew costs more than they do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection


@contextmanager
def prepared(statement: str, arguments: Sequence[Any]) -> Iterator[psycopg.Cursor[Any]]:
    """A cursor over the result of `statement`, in the current transaction; raises Django's database errors.

    Values are bound by the server, so a literal percent sign is written twice and a parameter may need a
    cast. The plan lives with the connection.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, arguments, prepare=True)
        yield cursor
