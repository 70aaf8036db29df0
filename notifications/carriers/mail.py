"""Carries messages by e-mail, through the server that EMAIL_URL names."""

import smtplib
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from jobs.expectations import MASK
from notifications.carriers.base import NotCarried
from notifications.models import Message


class MailCarrier:
    """One message to all recipients; its Message-ID is the same at each attempt."""

    @property
    def lease_seconds(self) -> float:
        """Longer than an attempt may take in all; connecting may add a time-out for each address of the server."""
        return 2 * (float(settings.EMAIL_TOTAL_TIMEOUT) + float(settings.EMAIL_TIMEOUT))

    def carry(self, message: Message, *, secret: str) -> int | None:
        if not settings.EMAIL_IS_SET_UP:
            raise NotCarried("This site can't send e-mail: EMAIL_URL is not set.")
        mail = EmailMessage(
            subject=f"[{' '.join(filter(None, ('Headway', settings.ENV_NAME)))}] {message.subject}",
            body=message.text,
            to=message.channel.recipients,
            headers={
                "Message-ID": f"<{message.public_id}@{_site()}>",
                "Auto-Submitted": "auto-generated",  # so that nobody's absence is told to us (RFC 3834)
            },
            connection=get_connection(timeout=settings.EMAIL_TIMEOUT),
        )
        try:
            mail.send()
        except smtplib.SMTPRecipientsRefused as error:
            raise _refused(error) from None
        except smtplib.SMTPResponseException as error:
            raise NotCarried(
                _masked(f"The mail server answered {error.smtp_code}: {_text(error.smtp_error)}"),
                status=error.smtp_code,
            ) from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NotCarried(
                _masked(f"The mail server failed: {str(error) or type(error).__name__}")
            ) from None
        return None


def _refused(error: smtplib.SMTPRecipientsRefused) -> NotCarried:
    """All recipients were refused; with 4xx only for now."""
    said = [f"{address}: {code} {_text(text)}" for address, (code, text) in error.recipients.items()]
    codes = [code for code, _ in error.recipients.values()]
    return NotCarried(
        _masked(f"The mail server refused {'; '.join(said)}"),
        status=max(codes, default=None),
        permanent=all(code >= 500 for code in codes),
    )


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said


def _masked(text: str) -> str:
    password = settings.EMAIL_HOST_PASSWORD
    return text.replace(password, MASK) if password else text


def _site() -> str:
    return urlsplit(str(settings.PUBLIC_URL)).hostname or "headway.invalid"
