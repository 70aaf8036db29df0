"""Checks once a statement, and not once a run, whether the job and the claim group of new runs are there."""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_initial"),
        ("runs", "0008_retained"),
        ("triggers", "0004_restricted_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="run",
            name="group",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="runs.claimgroup",
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="job",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="runs",
                to="jobs.job",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="claimgroup",
            trigger=pgtrigger.compiler.Trigger(
                name="has_no_runs",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n                    IF EXISTS (SELECT FROM runs_run r WHERE r.job_id = OLD.job_id AND r.group_id = OLD.id) THEN\n                        RAISE foreign_key_violation USING MESSAGE =\n                            format('There are runs of the claim group %s of the job %s.', OLD.id, OLD.job_id);\n                    END IF;\n                    RETURN OLD;",
                    hash="f44644c6f40146cf95739b3c10ef956b6ac570f3",
                    operation="DELETE",
                    pgid="pgtrigger_has_no_runs_8b20b",
                    table="runs_claimgroup",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="run",
            trigger=pgtrigger.compiler.Trigger(
                name="has_group",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    declare="DECLARE one record;",
                    func="\n                    FOR one IN SELECT DISTINCT m.job_id, m.group_id FROM made m LOOP\n                        PERFORM FROM runs_claimgroup g\n                        WHERE g.id = one.group_id AND g.job_id = one.job_id FOR KEY SHARE;\n                        IF NOT FOUND THEN\n                            RAISE foreign_key_violation USING MESSAGE =\n                                format('There is no claim group %s of a job %s.', one.group_id, one.job_id);\n                        END IF;\n                    END LOOP;\n                    RETURN NULL;",
                    hash="992fc3232a904482006a55d861d60f715661466d",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_has_group_aaf13",
                    referencing="REFERENCING NEW TABLE AS made ",
                    table="runs_run",
                    when="AFTER",
                ),
            ),
        ),
    ]
