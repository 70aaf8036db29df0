"""A table of PostgreSQL: each row that is added, or changed if its cursor column says when.

Numbers and times are given out before they are committed, so a row may appear behind one that was read long ago.
A mark that only goes up would lose it. So rows are read again from `low` on, and those that were taken are known:
1. A pass reads all rows above `low`. At its end it leaves a mark: the last value, and the snapshot's `xmax`.
2. A later pass may free what lies behind the mark if, when it began, every transaction of the mark's time had
   ended (`xmin` reached that `xmax`) and the overlap had passed, in which a number may be held before its
   transaction writes at all. That pass sees whatever came late; at its end `low` becomes the mark.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from django.db import connection as own
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from jobs.expectations import shown
from triggers.sources.base import Found, Listed, Look, Place, Unreachable

EVENT: Final = "row"
NUMBERS: Final = ("smallint", "integer", "bigint")
TIMES: Final = ("timestamp with time zone", "timestamp without time zone")
# Rows of the first look that are passed over one by one: what commits late among them is still found.
PASSED: Final = 5000
CHUNK: Final = 500
ROWS_A_LOOK: Final = 50_000
SHOWN: Final = 20
# What an address may say: nothing that lets the server's machine read files of its own.
ADDRESS: Final = frozenset(
    {"host", "hostaddr", "port", "user", "password", "dbname"}
    | {"sslmode", "sslrootcert", "connect_timeout", "application_name"}
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Final = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": 63},
    "maxItems": 100,
}

Row = tuple[int, list[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the database says of the table: the columns and which of them tell a row and its order."""

    table: sql.Identifier
    cursor: str
    type: str
    key: Sequence[str]
    columns: Sequence[str]

    @property
    def value(self) -> sql.Composable:
        """The cursor column as a whole number: of a time, the microseconds since 1970."""
        column = sql.Identifier("t", self.cursor)
        if self.type in NUMBERS:
            return sql.SQL("{}::bigint").format(column)
        return sql.SQL("(extract(epoch FROM {}) * 1000000)::bigint").format(column)

    @property
    def payload(self) -> sql.Composable:
        """The row as JSON, made by the database."""
        if not self.columns:
            return sql.SQL("to_jsonb(t)::text")
        chosen = sql.SQL(", ").join(sql.Identifier("t", name) for name in self.columns)
        return sql.SQL("(SELECT to_jsonb(p) FROM (SELECT {}) AS p)::text").format(chosen)

    def limit(self, value: int) -> Any:
        """`value` as the cursor column has it."""
        if self.type in NUMBERS:
            return value
        at = _EPOCH + timedelta(microseconds=value)
        return at if self.type == TIMES[0] else at.replace(tzinfo=None)


@dataclass(slots=True, kw_only=True)
class Pass:
    """A pass over the rows above `low`, which may take several looks; `mark` is what it left, or was left before."""

    low: int | None = None
    at: int | None = None
    frees: bool = False
    under_way: bool = False
    mark: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """To be given to the next look."""
        return {name: getattr(self, name) for name in ("low", "at", "frees", "under_way", "mark")}


@dataclass(slots=True, kw_only=True)
class Reading:
    """What a look has read so far."""

    fresh: list[Found] = field(default_factory=list)
    last: int | None = None
    rows: int = 0
    ended: bool = False


class Table(Listed):
    """Read in a transaction that can write nothing, by a connection of its own."""

    label = "Table (PostgreSQL)"
    options: Mapping[str, Any] = {
        "table": {
            "type": "string",
            "pattern": "^[^.\\u0000]{1,63}([.][^.\\u0000]{1,63})?$",
            "description": "A table or view, such as orders or sales.orders.",
        },
        "cursor": {
            "type": "string",
            "minLength": 1,
            "maxLength": 63,
            "description": "The column that grows: a number for new rows, a time of change for changed ones, too.",
        },
        "key": {
            **_NAMES,
            "default": [],
            "description": "The columns that tell rows apart; none: the primary key.",
        },
        "columns": {**_NAMES, "default": [], "description": "The columns of the payload; none: all."},
        "overlap_seconds": {
            "type": "integer",
            "minimum": 0,
            "maximum": 86_400,
            "default": 60,
            "description": "How long a transaction may hold a number or time before it writes.",
        },
    }
    marks: Sequence[str] = ("table", "cursor")
    credential = "the address, postgresql://user:password@host/name; without one, this site's own database"
    sample: Mapping[str, Any] = {
        "id": 4711,
        "status": "paid",
        "total": 19.9,
        "updated_at": "2026-01-31T08:15:00+00:00",
    }

    def faults(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Nothing that the schema does not say: the rest is for the database to tell."""
        return {}

    def check_secret(self, secret: str) -> None:
        """Raises ValueError for what is no address of a database, or one that says too much."""
        try:
            told = conninfo_to_dict(secret) if secret.startswith(("postgresql://", "postgres://")) else {}
        except psycopg.Error:
            told = {}
        if "dbname" not in told or not ("host" in told or "hostaddr" in told):
            raise ValueError("It is no address of a database; expected postgresql://user:password@host/name.")
        if strange := sorted(told.keys() - ADDRESS):
            raise ValueError(f"It says {', '.join(strange)}; expected only {', '.join(sorted(ADDRESS))}.")

    def look(self, place: Place) -> Look:
        """The rows that were not taken, in the order of the cursor column."""
        try:
            with _connected(place) as connection:
                shape = _shape(connection, place)
                if place.begins and not place.from_beginning:
                    return _begun(connection, shape)
                if place.is_trial and not place.state:
                    return Look(found=[*map(_found, _newest(connection, shape, SHOWN))])
                return _passed(connection, shape, place)
        except psycopg.Error as error:
            raise Unreachable(f"{place.options['table']} can't be read: {_told(error)}") from None


@contextmanager
def _connected(place: Place) -> Iterator[psycopg.Connection[Any]]:
    connection = psycopg.connect(
        place.secret or _own_address(),
        connect_timeout=5,
        application_name="headway-source",
        prepare_threshold=None,
    )
    try:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET LOCAL statement_timeout = '10s'")
        connection.execute("SET LOCAL lock_timeout = '3s'")
        yield connection
    finally:
        connection.close()


def _own_address() -> str:
    known = own.settings_dict
    told = {name: known[name.upper()] for name in ("user", "password", "host", "port") if known[name.upper()]}
    host = known["OPTIONS"].get("host")
    return make_conninfo(dbname=known["NAME"], **told, **({"host": host} if host else {}))


def _shape(connection: psycopg.Connection[Any], place: Place) -> Shape:
    options = place.options
    table = sql.Identifier(*options["table"].split("."))
    if not place.secret and _is_ours(options["table"]):
        raise Unreachable(f"{options['table']} is a table of this site itself: its API says what is in it.")
    name = table.as_string(connection)
    rows = connection.execute(
        """SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
           WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped""",
        [name],
    ).fetchall()
    types: dict[str, str] = dict(rows)
    if not types:
        raise Unreachable(f"There is no table {options['table']} that this role may see.")
    for column in (options["cursor"], *options["key"], *options["columns"]):
        if column not in types:
            raise Unreachable(f"{options['table']} has no column {shown(column)}; it has {', '.join(types)}.")
    kind = types[options["cursor"]]
    if kind not in (*NUMBERS, *TIMES):
        raise Unreachable(f"{options['cursor']} is of type {kind}; expected {', '.join((*NUMBERS, *TIMES))}.")
    key = options["key"] or _primary_key(connection, name) or ([options["cursor"]] if kind in NUMBERS else [])
    if not key:
        raise Unreachable(
            f"{options['table']} has no primary key: name the columns that tell its rows apart in key."
        )
    return Shape(table=table, cursor=options["cursor"], type=kind, key=key, columns=options["columns"])


def _is_ours(table: str) -> bool:
    schema, _, name = table.rpartition(".")
    is_systems = schema in ("pg_catalog", "information_schema") or name.startswith("pg_")
    return is_systems or name in own.introspection.django_table_names()


def _primary_key(connection: psycopg.Connection[Any], name: str) -> list[str]:
    rows = connection.execute(
        """SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
           WHERE i.indrelid = to_regclass(%s) AND i.indisprimary ORDER BY a.attnum""",
        [name],
    ).fetchall()
    return [row[0] for row in rows]


def _begun(connection: psycopg.Connection[Any], shape: Shape) -> Look:
    """The first look, from now on: the newest rows are known, and those before them are never read."""
    rows = _newest(connection, shape, PASSED)
    low = rows[-1][0] if len(rows) == PASSED else None
    passed = [(_identity(row), row[0]) for row in rows]
    return Look(passed=passed, state=Pass(low=low).state())


def _newest(connection: psycopg.Connection[Any], shape: Shape, count: int) -> list[Row]:
    order = sql.SQL("{} ORDER BY {} DESC LIMIT {}").format(
        _select(shape), sql.Identifier("t", shape.cursor), sql.Literal(count)
    )
    rows: list[Row] = connection.execute(order).fetchall()
    return rows


def _passed(connection: psycopg.Connection[Any], shape: Shape, place: Place) -> Look:
    """One look of a pass: see the module's first words."""
    xmin, xmax, clock = _snapshot(connection)
    going = Pass(**{name: place.state[name] for name in Pass().state() if name in place.state})
    overlap = place.options["overlap_seconds"]
    if not going.under_way:
        going.under_way, going.at = True, going.low
        going.frees = going.mark is not None and _is_free(going.mark, xmin=xmin, place=place)
    reading = _read(connection, shape, place, going)
    if not reading.ended:
        going.at = reading.last
        return Look(found=reading.fresh, state=going.state(), more=True)
    last = going.at if reading.last is None else reading.last
    freed = None
    if going.frees and going.mark is not None:
        freed = going.low = going.mark["value"]
        going.mark = None
    # A time ahead of the database's clock is no mark: other rows will come before it.
    ceiling = None if shape.type in NUMBERS else clock - overlap * 1_000_000
    value = last if ceiling is None or last is None else min(last, ceiling)
    if going.mark is None and value is not None and (going.low is None or value > going.low):
        going.mark = {"value": value, "xmax": xmax, "at": place.now.isoformat()}
    going.under_way, going.frees, going.at = False, False, None
    return Look(found=reading.fresh, passed_to=freed, state=going.state())


def _is_free(mark: dict[str, Any], *, xmin: int, place: Place) -> bool:
    waited = (place.now - datetime.fromisoformat(mark["at"])).total_seconds()
    if waited < 0:  # our clock was set back: how old the mark is, nobody knows
        mark["at"] = place.now.isoformat()
    return bool(xmin >= mark["xmax"]) and waited >= place.options["overlap_seconds"]


def _snapshot(connection: psycopg.Connection[Any]) -> tuple[int, int, int]:
    row = connection.execute(
        """SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint,
                  (extract(epoch FROM least(now() AT TIME ZONE 'UTC', localtimestamp)) * 1000000)::bigint
           FROM pg_current_snapshot() AS s"""
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def _read(connection: psycopg.Connection[Any], shape: Shape, place: Place, going: Pass) -> Reading:
    reading = Reading()
    with connection.cursor(name="look") as cursor:
        query, values = _above(shape, going)
        cursor.execute(query, values)
        while chunk := cursor.fetchmany(CHUNK):
            place.check()
            known = place.memory.known([_identity(row) for row in chunk])
            for row in chunk:
                reading.last, reading.rows = row[0], reading.rows + 1
                if _identity(row) not in known:
                    reading.fresh.append(_found(row))
                if len(reading.fresh) == place.limit:
                    return reading
            if reading.rows >= ROWS_A_LOOK and reading.last != going.at:
                return reading
    reading.ended = True
    return reading


def _above(shape: Shape, going: Pass) -> tuple[sql.Composed, list[Any]]:
    column = sql.Identifier("t", shape.cursor)
    order = sql.SQL(" ORDER BY {}").format(column)
    finite = sql.SQL("") if shape.type in NUMBERS else sql.SQL(" AND isfinite({})").format(column)
    if going.at is None:
        return _select(shape) + finite + order, []
    # Behind `low` nothing is left; of the place a look stopped at, rows with the same value may be.
    sign = sql.SQL(" AND {} > %s" if going.at == going.low else " AND {} >= %s").format(column)
    return _select(shape) + sign + finite + order, [shape.limit(going.at)]


def _select(shape: Shape) -> sql.Composed:
    key = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier("t", name)) for name in shape.key)
    return sql.SQL("SELECT {}, ARRAY[{}], {} FROM {} AS t WHERE {} IS NOT NULL").format(
        shape.value, key, shape.payload, shape.table, sql.Identifier("t", shape.cursor)
    )


def _identity(row: Row) -> str:
    return f"{row[0]} {json.dumps(row[1])}"


def _found(row: Row) -> Found:
    return Found(identity=_identity(row), event=EVENT, payload=json.loads(row[2]), value=row[0])


def _told(error: psycopg.Error) -> str:
    """The error without the address: of one that could not connect, only that."""
    if error.diag.message_primary:
        return f"{error.diag.message_primary}."
    return (
        "the database can't be connected to."
        if isinstance(error, psycopg.OperationalError)
        else "it broke off."
    )
