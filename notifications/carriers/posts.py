"""Carries messages by HTTP: signed webhooks, and the URLs that Slack and others that take its form give out.

Calls go the way of `http` jobs: to public addresses only, and those that HEADWAY_HTTP_PRIVATE_ALLOWED allows.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Any, Final

from django.utils import timezone

from jobs.executors.addresses import AddressRefused
from jobs.executors.calls import Answer, Call, CallFailed, send
from jobs.expectations import MASK
from notifications import addresses
from notifications.carriers.base import NotCarried
from notifications.channels import SIGNING
from notifications.models import Message

SECONDS: Final = 15.0
EXCERPT: Final = 200  # characters of an answer
_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class WebhookCarrier:
    """Posts the payload, signed as Standard Webhooks say; `webhook-id` is the same at each attempt."""

    lease_seconds: float = 2 * SECONDS

    def carry(self, message: Message, *, secret: str) -> int | None:
        if not secret:
            raise NotCarried("The channel has no secret to sign with: give it one.", permanent=True)
        body = _json(message.payload)
        signed = SIGNING.sign(body, secret=secret, key=str(message.public_id), at=timezone.now(), options={})
        return _post(message.channel.address, body, headers=signed, secret=secret)


class SlackCarrier:
    """Posts one text to the URL in the vault."""

    lease_seconds: float = 2 * SECONDS

    def carry(self, message: Message, *, secret: str) -> int | None:
        if not secret:
            raise NotCarried("The channel's URL is not in the vault: enter it again.", permanent=True)
        return _post(secret, _json({"text": slack_text(message)}), headers={}, secret=secret)


def slack_text(message: Message) -> str:
    """The message as Slack reads it: the first line bold and linked, the rest as it is."""
    url, title = str(message.payload.get("data", {}).get("url", "")), _escaped(message.subject)
    linked = f"<{url}|{title}>" if url.startswith("http") else title
    return f"*{linked}*\n{_escaped(message.text)}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _post(url: str, body: bytes, *, headers: dict[str, str], secret: str) -> int:
    told = {name: value.encode() for name, value in {"content-type": "application/json", **headers}.items()}
    site = addresses.origin(url)
    try:
        answer = send(Call(method="POST", url=url, headers=told, body=body), check=_until(site))
    except AddressRefused as error:
        raise NotCarried(f"{site} was not called: {error}", permanent=True) from None
    except CallFailed as error:
        raise NotCarried(_masked(f"{site} failed: {error}", secret, url)) from None
    if 200 <= answer.status < 300:
        return answer.status
    raise NotCarried(
        _masked(f"{site} answered {_said(answer)}", secret, url),
        status=answer.status,
        permanent=answer.status == HTTPStatus.GONE,  # "remove me", says Standard Webhooks
        retry_after=_retry_after(answer),
    )


def _until(site: str) -> Callable[[], None]:
    end = monotonic() + SECONDS

    def check() -> None:
        if monotonic() >= end:
            raise NotCarried(f"{site} gave no whole answer within {SECONDS:g} s.")

    return check


def _said(answer: Answer) -> str:
    text = " ".join(answer.body.decode("utf-8", "replace").replace("\0", "").split())[:EXCERPT]
    return f"{answer.status} {answer.reason}{f': {text}' if text else ''}"


def _masked(text: str, secret: str, url: str) -> str:
    return text.replace(secret, MASK).replace(url, MASK)


def _retry_after(answer: Answer) -> float | None:
    value = answer.headers.get("retry-after", "")
    return float(value) if answer.status in _BUSY and value.isascii() and value.isdigit() else None
