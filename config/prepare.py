"""What must be done before people come, in one process: `python -m config.prepare FILE`.

Migrates (and then makes FILE, for those who wait for that), syncs the declared jobs, and sees that there
is a first login, a key and, in an empty database, the demo's content. `up` runs it at every start.
"""

import secrets
import sys
import time
from pathlib import Path
from typing import Any

import django

ADMIN = "admin"
KEY_NAME = "quickstart"
DATABASE_SECONDS = 90.0  # a first initdb on a busy machine takes its time


def main(migrated: Path) -> None:
    django.setup()
    from django.core.management import call_command

    from jobs import auditing

    with auditing.part_of("up"):
        wait_for_database()
        call_command("migrate", interactive=False, verbosity=0)
        migrated.touch()
        call_command("sync_jobs", verbosity=0)
        ensure_access()


def wait_for_database() -> None:
    """Wait until PostgreSQL takes connections; exits with a sentence when it does not in time."""
    from django.db import OperationalError, connection

    deadline = time.monotonic() + DATABASE_SECONDS
    while True:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            if time.monotonic() > deadline:
                sys.exit(f"PostgreSQL took no connection for {DATABASE_SECONDS:.0f} s: {error}")
            time.sleep(0.05)
        else:
            return


def ensure_access() -> None:
    """See that somebody can log in and call the API; keep the secrets in the home, readable by its owner.

    On an empty database that is the first admin user, with a random password, and the demo's content.
    """
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.core.management import call_command, get_commands
    from django.db import transaction

    from config.home import ACCESS, keep, read

    access = read(settings.HOME / ACCESS)
    with transaction.atomic():
        fresh = not User.objects.exists()
        if fresh:
            access = make_admin()
            if "load_demo" in get_commands():
                call_command("load_demo", verbosity=0)
        keep(settings.HOME / ACCESS, renewed(access, trusted=fresh))


def make_admin() -> dict[str, Any]:
    """Make the first user; returns the login."""
    from django.contrib.auth.models import User

    password = secrets.token_urlsafe(12)
    User.objects.create_superuser(ADMIN, password=password)
    return {"admin_user": ADMIN, "admin_password": password}


def renewed(access: dict[str, Any], *, trusted: bool) -> dict[str, Any]:
    """What of `access` still holds, with a key that works; the password is None once it was changed.

    A password that was made a moment ago is `trusted`: looking would cost a third of a second.
    """
    from django.contrib.auth.models import User

    from triggers import keys
    from triggers.models import Scope

    user = User.objects.filter(username=access.get("admin_user", ADMIN)).first()
    owner = user or User.objects.filter(is_superuser=True).order_by("pk").first()
    if owner is None:
        sys.exit("No user may administer this site: make one with `manage.py createsuperuser`.")
    password, key = access.get("admin_password"), access.get("api_key") or ""
    found = keys.verify(key)
    if found is None or set(found.scopes) != set(Scope.values):
        key = keys.issue(name=KEY_NAME, owner=owner, scopes=Scope.values)[1]
    holds = trusted or (password and owner.check_password(password))
    return {
        "admin_user": owner.get_username(),
        "admin_password": password if holds else None,
        "api_key": key,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
