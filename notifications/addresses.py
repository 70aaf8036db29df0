"""What an address of a channel may be: recipients of e-mail, or a URL that the site may call."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from jobs.executors.addresses import AddressRefused, choose
from jobs.expectations import shown

LONGEST: Final = 1000
RECIPIENTS: Final = 20
_UNSAFE: Final = re.compile(r"[\s\x00-\x1f\x7f\\#]")
_LOOPBACK: Final = "127.0.0.1"


class InvalidAddress(ValueError):
    """An address that can't be one of its kind; the message says what was expected."""


def check(kind: str, address: str) -> None:
    """Raises InvalidAddress unless `address` is one that channels of this kind can use."""
    if kind == "email":
        _check_recipients(address)
    else:
        _check_url(address)


def recipients(text: str) -> list[str]:
    """The e-mail addresses of `text`, with commas or line ends between them, each once."""
    return list(dict.fromkeys(part.strip() for part in re.split(r"[,;\n]", text) if part.strip()))


def origin(url: str) -> str:
    """Of a URL what may be shown of it, whatever stands behind its host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def _check_recipients(text: str) -> None:
    if not settings.EMAIL_IS_SET_UP:
        raise InvalidAddress("This site can't send e-mail: EMAIL_URL is not set.")
    found = recipients(text)
    if not 0 < len(found) <= RECIPIENTS:
        raise InvalidAddress(f"{len(found)} e-mail addresses were given; expected 1 to {RECIPIENTS}.")
    for address in found:
        try:
            validate_email(address)
        except ValidationError:
            raise InvalidAddress(f"{shown(address)} is no e-mail address.") from None


def _check_url(url: str) -> None:
    host = _host(url)
    if host is None:
        expected = "http:// or https://, a host, and no user name, blank or fragment"
        raise InvalidAddress(f"{shown(url)} is no URL that can be called; expected {expected}.")
    literal = _literal(host)
    if literal is not None:
        try:
            choose(host, [literal])
        except AddressRefused as error:
            raise InvalidAddress(str(error)) from None


def _host(url: str) -> str | None:
    """The host of a URL that can be called; None for any other text."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.username is None and parts.port != 0
    except ValueError:
        return None
    return parts.hostname if fits and len(url) <= LONGEST and not _UNSAFE.search(url) else None


def _literal(host: str) -> str | None:
    """The address that a host is without being resolved; what others are is found out when they are called."""
    if host == "localhost" or host.endswith(".localhost"):
        return _LOOPBACK
    try:
        return str(ip_address(host))
    except ValueError:
        return None
