"""People in front of the admin."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from tests.factories import make_user

Login = Callable[..., Client]


@pytest.fixture
def login(db: None) -> Login:
    """Logs somebody of the staff in who has just the named permissions ("jobs.run_job")."""

    def log_in(*permissions: str, **fields: object) -> Client:
        user = make_user(is_staff=True, **fields)
        for permission in permissions:
            app, _, codename = permission.partition(".")
            user.user_permissions.add(Permission.objects.get(codename=codename, content_type__app_label=app))
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def boss(login: Login) -> Client:
    """A superuser at the browser."""
    return login(is_superuser=True, username="ada")
