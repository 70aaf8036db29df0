"""Receivers of notifications: real servers on this machine, which the site may call here."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.notifications.mailbox import Mailbox, mail_server


@pytest.fixture
def private(settings: Settings) -> None:
    """Lets channels call this machine."""
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.1", "localhost"]


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    """A mail server, which the site sends by."""
    with mail_server() as found:
        set_up(settings, found)
        yield found


def set_up(settings: Settings, mailbox: Mailbox) -> None:
    """Has the site send by this server."""
    settings.EMAIL_IS_SET_UP = True
    settings.EMAIL_BACKEND = "notifications.carriers.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
    settings.EMAIL_TIMEOUT = 2
