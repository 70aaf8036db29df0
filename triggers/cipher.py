"""Encrypts short texts so that a stolen table tells none of them, and nobody can change one or move it elsewhere.

By Fernet (AES-128 in CBC mode, authenticated by HMAC-SHA256; https://github.com/fernet/spec). The place that a text
is sealed for is encrypted with it.
"""

import base64
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

END: Final = "\n"  # of the place


class CannotOpen(ValueError):
    """A sealed text that none of the keys opens: another key's, changed, or of another place."""


@dataclass(frozen=True, slots=True)
class Key:
    """What one key text is used for; `id` tells keys apart and nothing about them."""

    id: str
    fernet: Fernet = field(repr=False)


def key(text: str) -> Key:
    """The key that `text` (random, of 32 characters or more) stands for."""
    root = hmac.digest(b"headway.vault", text.encode(), "sha256")
    encrypting = base64.urlsafe_b64encode(hmac.digest(root, b"encrypt", "sha256"))
    return Key(hmac.digest(root, b"id", "sha256").hex()[:8], Fernet(encrypting))


def seal(text: str, *, key: Key, place: str) -> str:
    """`text`, sealed for `place` (one line): it opens nowhere else."""
    return f"{key.id}.{key.fernet.encrypt(f'{place}{END}{text}'.encode()).decode()}"


def unseal(sealed: str, *, keys: Iterable[Key], place: str) -> str:
    """The text that was sealed for `place` with one of `keys`; raises CannotOpen."""
    named, _, token = sealed.partition(".")
    for known in keys:
        if known.id == named:
            try:
                found, _, text = (
                    known.fernet.decrypt(token.encode("utf-8", "replace")).decode().partition(END)
                )
            except InvalidToken:
                break
            if found == place:
                return text
    raise CannotOpen("No key of the vault opens this secret.")
