"""The app of the chaos suite: it is in no site but the suite's."""

import os

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "tests.chaos.ledger"
    label = "chaos_ledger"

    def ready(self) -> None:
        """Makes every process of the site one that can be told where to die."""
        from tests.chaos.ledger import crashes

        if os.environ.get(crashes.FOLDER):
            crashes.install()
