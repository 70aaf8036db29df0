"""Makes any JSON value one that PostgreSQL can store: it knows neither NUL nor half a surrogate pair."""

from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def plain(value: Any) -> Any:
    """`value` with every character that a jsonb or text column refuses replaced by U+FFFD."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, dict):
        return {plain_text(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def plain_text(text: str) -> str:
    """`text` without NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", REPLACEMENT)
