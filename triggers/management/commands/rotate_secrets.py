"""`manage.py rotate_secrets`: everything in the vault is sealed with the first of its keys."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from triggers import vault


class Command(BaseCommand):
    help = (
        "Seal all stored secrets anew with the first key of HEADWAY_VAULT_KEYS, so that the others can be removed "
        "from it. May be stopped at any time and called again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done, lost = vault.rotate()
        except vault.VaultLocked as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"Sealed {done} secret{'' if done == 1 else 's'} with the key {vault.known_keys()[0]}."
        )
        if lost:
            self.stderr.write(
                f"{lost} can't be opened: no key in HEADWAY_VAULT_KEYS sealed them. Add the key that did, or give "
                "their triggers and channels new ones."
            )
            sys.exit(1)
