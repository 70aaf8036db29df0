"""Secrets that are any text: what most schemes have."""

import secrets
from typing import Final

SHORTEST: Final = 8
LONGEST: Final = 500


class PlainSecret:
    """Any text of some length will do; a new one has 256 random bits."""

    def check_secret(self, secret: str) -> None:
        """Raises ValueError for one that is too short or can't be sent."""
        if not SHORTEST <= len(secret) <= LONGEST:
            raise ValueError(f"The secret has {len(secret)} characters; expected {SHORTEST} to {LONGEST}.")
        if not secret.isprintable():
            raise ValueError("The secret has a character that can't be printed.")

    def new_secret(self) -> str:
        """A random secret."""
        return secrets.token_urlsafe(32)
