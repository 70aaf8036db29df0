"""The site's settings with one more app, whose job notes each execution and whose processes die when told to."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*_APPS, "tests.chaos.ledger"]
