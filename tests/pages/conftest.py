"""People before their browsers."""

from collections.abc import Callable
from html import unescape
from typing import Protocol

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

Visitor = Callable[..., Client]


@pytest.fixture
def visitor(db: None) -> Visitor:
    """Logs somebody in who has just the named permissions; `csrf=True` checks their forms."""

    def log_in(*permissions: str, csrf: bool = False) -> Client:
        user = User.objects.create(username=f"visitor-{User.objects.count()}", is_staff=True)
        codenames = [permission.partition(".")[2] for permission in permissions]
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client(enforce_csrf_checks=csrf)
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def ada(db: None) -> Client:
    """Who may do everything."""
    client = Client()
    client.force_login(User.objects.create(username="ada", is_superuser=True, is_staff=True))
    return client


@pytest.fixture
def reader(visitor: Visitor) -> Client:
    """Who may look and nothing else."""
    return visitor("runs.view_run")


class Sent(Protocol):
    """An answer as the test client has it."""

    @property
    def content(self) -> bytes: ...


def text(response: Sent) -> str:
    """The page as it was sent."""
    return response.content.decode()


def words(response: Sent) -> str:
    """The page as people read it: without entities, and every white space one space."""
    return " ".join(unescape(text(response)).split())
