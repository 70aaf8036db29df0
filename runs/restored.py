"""Notices that the database was restored from a dump or copied: due times of another day then fire nothing at once.

A restored schedule looks as one that nothing fired for days, and its misfire policy would catch up at once what may
well have run after the dump was made. A dump carries rows, but not who it was taken from: the numbers that
PostgreSQL gives to the cluster, the database and the table. What holds those of another was restored.
"""

import structlog
from django.db import connection, transaction

from runs.models import Heartbeat
from triggers.models import Occurrence

log = structlog.get_logger(__name__)

NAME = "database"
_IDENTITY = """
    SELECT system_identifier || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/'
        || 'triggers_trigger'::regclass::oid FROM pg_control_system()"""
_REASON = "The database was restored after this slot came: whether it ran is not known."
_ENTER = """
    INSERT INTO triggers_occurrence (trigger_id, slot, outcome, reason)
    SELECT id, next_slot, 'missed', %s FROM triggers_trigger
    WHERE kind = 'schedule' AND enabled AND next_run_at <= clock_timestamp() AND next_slot IS NOT NULL
    ON CONFLICT DO NOTHING"""
_REPLAN = """
    UPDATE triggers_trigger SET next_run_at = NULL, next_slot = NULL, replan_from = clock_timestamp()
    WHERE kind = 'schedule' AND enabled AND next_run_at <= clock_timestamp()"""


def look() -> int:
    """Has overdue schedules planned anew from now if the database was restored; returns how many.

    Their overdue slots, and those that waited or were in line, stand in the ledger as missed: people decide about
    them. To be called before anything is fired; several beats may.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_IDENTITY)
        identity = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO runs_heartbeat (name, at, detail) VALUES (%s, clock_timestamp(), "
            "jsonb_build_object('identity', %s::text)) ON CONFLICT DO NOTHING",
            [NAME, identity],
        )
        known = Heartbeat.objects.select_for_update().get(name=NAME)
        if known.detail["identity"] == identity:
            return 0
        cursor.execute(_ENTER, [_REASON])
        cursor.execute(_REPLAN)
        count = int(cursor.rowcount)
        undecided = Occurrence.objects.filter(
            outcome__in=(Occurrence.Outcome.DUE, Occurrence.Outcome.WAITING)
        )
        undecided.update(outcome=Occurrence.Outcome.MISSED, reason=_REASON)
        known.detail = {"identity": identity}
        known.save(update_fields=["detail"])
    log.warning("database_restored", schedules_planned_anew=count)
    return count
