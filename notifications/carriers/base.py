"""What every carrier does, and how it says that it could not."""

from typing import Protocol

from notifications.models import Message


class NotCarried(Exception):
    """A message did not arrive, or nobody says that it did; the message of this error holds no secret.

    `permanent`: the next attempt would go the same way. `retry_after`: when the other side asked for it, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        permanent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.permanent = permanent
        self.retry_after = retry_after


class Carrier(Protocol):
    """Carries messages of one kind of channel; `lease_seconds` is longer than an attempt can take."""

    @property
    def lease_seconds(self) -> float:
        """For how long nobody else sends what this one has begun to."""

    def carry(self, message: Message, *, secret: str) -> int | None:
        """Sends `message` to its channel; returns the status of the answer, if there is one. Raises NotCarried."""
