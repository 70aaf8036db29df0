"""Notes from where raw SQL came that changed something (`jobs.changes`)."""

from importlib import import_module
from typing import ClassVar, Final

from django.db import migrations

_BEFORE: Final = "session_user || ' ' || current_setting('application_name')"
_NOW: Final = (
    "concat_ws(' ', session_user, nullif(current_setting('application_name'), ''), "
    "'from', coalesce(host(inet_client_addr()), 'the database’s machine'))"
)
FORMER: Final = import_module("jobs.migrations.0002_changes").NOTE.replace("CREATE ", "CREATE OR REPLACE ", 1)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("jobs", "0002_changes")]

    operations: ClassVar = [migrations.RunSQL(FORMER.replace(_BEFORE, _NOW), FORMER)]
