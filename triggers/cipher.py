"""Encrypts short texts so that a stolen table tells none of them, and nobody can change one or move it elsewhere.

AES-256-GCM of the library `cryptography`, with a random nonce for each text and the place it is kept at as
associated data. The first letters of a sealed text say its form, so that another cipher can follow.
"""

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORM: Final = "hw1"
NONCE_BYTES: Final = 12


class CannotOpen(ValueError):
    """A sealed text that none of the keys opens: another key's, changed, or of another place."""


@dataclass(frozen=True, slots=True)
class Key:
    """What one key text is used for; `id` tells keys apart and nothing about them."""

    id: str
    cipher: AESGCM = field(repr=False, compare=False)


def key(text: str) -> Key:
    """The key that `text` (random, of 32 characters or more) stands for."""
    return Key(_derived(text, b"id", 4).hex(), AESGCM(_derived(text, b"encrypt", 32)))


def seal(text: str, *, key: Key, place: str) -> str:
    """`text`, sealed for `place`: it opens nowhere else."""
    nonce = os.urandom(NONCE_BYTES)
    hidden = nonce + key.cipher.encrypt(nonce, text.encode(), _context(key, place))
    return f"{FORM}.{key.id}.{base64.urlsafe_b64encode(hidden).decode()}"


def unseal(sealed: str, *, keys: Iterable[Key], place: str) -> str:
    """The text that was sealed for `place` with one of `keys`; raises CannotOpen."""
    form, _, rest = sealed.partition(".")
    named, _, coded = rest.partition(".")
    for known in keys:
        if form == FORM and known.id == named:
            try:
                hidden = base64.b64decode(coded, altchars=b"-_", validate=True)
                opened = known.cipher.decrypt(
                    hidden[:NONCE_BYTES], hidden[NONCE_BYTES:], _context(known, place)
                )
            except (ValueError, InvalidTag):  # ValueError: no base64, or too short to be one of ours
                continue
            return opened.decode()
    raise CannotOpen("No key of the vault opens this secret.")


def _derived(text: str, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=b"headway.vault." + purpose).derive(
        text.encode()
    )


def _context(key: Key, place: str) -> bytes:
    return f"{FORM}.{key.id}.{place}".encode()
