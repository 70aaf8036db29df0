"""Upstream: one edge of the graph of jobs."""

from typing import ClassVar

import pgtrigger
from django.db import models

from jobs.models import Job
from triggers.models.trigger import Trigger

# Whoever adds an edge holds this lock until the end of the transaction, so that two edits which close a circle
# only together are checked one after the other.
LOCK = "pg_advisory_xact_lock(hashtextextended('triggers.upstream', 0))"

# The last word on circles, for whatever way an edge takes into the table; `triggers.dependencies` is asked
# first and knows the chain. Each statement of the function sees what was committed before the lock was given.
_ACYCLIC = f"""
    PERFORM {LOCK};
    IF NOT EXISTS (
        SELECT 1 FROM triggers_trigger t WHERE t.id = NEW.trigger_id AND t.kind IN ('dependency', 'schedule'))
    THEN
        RAISE EXCEPTION 'Only a dependency or a schedule has upstreams.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'upstream_of_dependency';
    END IF;
    IF EXISTS (
        WITH RECURSIVE behind (job_id) AS (
            SELECT t.job_id FROM triggers_trigger t WHERE t.id = NEW.trigger_id
            UNION
            SELECT t.job_id FROM behind b
            JOIN triggers_upstream u ON u.job_id = b.job_id JOIN triggers_trigger t ON t.id = u.trigger_id)
        SELECT 1 FROM behind b WHERE b.job_id = NEW.job_id)
    THEN
        RAISE EXCEPTION 'Job % would come after itself.', NEW.job_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'upstream_acyclic';
    END IF;
    RETURN NEW;"""  # noqa: S608 - LOCK is a constant


class Upstream(models.Model):
    """A job that a dependency or a schedule waits for; a job that something waits for cannot be deleted."""

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="edges", db_index=False)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(name="upstream_once_a_trigger", fields=["trigger", "job"]),
        ]
        triggers: ClassVar = [
            pgtrigger.Trigger(
                name="acyclic",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=_ACYCLIC,
            ),
            # The API's ETag of a trigger covers its upstreams.
            pgtrigger.Trigger(
                name="bump_version",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Delete,
                func=(
                    "UPDATE triggers_trigger SET version = version + 1 "
                    "WHERE id = coalesce(NEW.trigger_id, OLD.trigger_id); RETURN NULL;"
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"job {self.job_id} before trigger {self.trigger_id}"
