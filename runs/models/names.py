"""A run's computed name, and what an id or a name speaks of."""

from datetime import datetime

NAME_PREFIX = {
    "manual": "triggered",
    "remote": "triggered",
    "event": "triggered",
    "schedule": "scheduled",
    "dependency": "chained",
    "campaign": "bulk",
}


def run_name(*, kind: str, slug: str, created_at: datetime, number: int) -> str:
    """The name that says by itself what kind of cause the run had (product.md, Run name)."""
    prefix = NAME_PREFIX.get(kind, "run")
    return f"{prefix}_{slug}_{int(created_at.timestamp())}_{base36(number)}"


def base36(number: int) -> str:
    """`number` in base 36, as the last part of a run's name."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text or "0"


def run_id(text: str) -> int | None:
    """The id that `text`, an id or a run's name, speaks of; None if it is neither in form."""
    tail = text if text.isdigit() else text.rpartition("_")[2] if "_" in text else ""
    if not tail.isascii() or not tail.isalnum() or len(tail) > 19:
        return None
    number = int(tail, 10 if text.isdigit() else 36)
    return number if number < 2**63 else None
