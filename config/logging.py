"""How log lines look: by event name with ids, formatted in this one place."""

import logging
import re
from typing import Any

import structlog
from billiard.exceptions import WorkerLostError

# What a library says about each request or message is no news at level INFO.
LEVELS = {
    "django.request": {"level": "ERROR"},
    "django_structlog": {"level": "WARNING"},
    "httpx2": {"level": "WARNING"},
    "httpcore2": {"level": "WARNING"},
}


# A library's message may hold what a stranger has sent: it must not look like another line, or steer a terminal.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class KnownEnd(logging.Filter):
    """Takes the traceback from Celery's line about a slot that died: it shows Celery's own code only.

    A killed slot is something that Headway expects: its run is rescued and its attempt recorded as lost.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(getattr(error, "exc", error), WorkerLostError):
            record.exc_info = None
        return True


def logging_settings(*, level: str, style: str) -> dict[str, Any]:
    """The `LOGGING` dictionary: `style` is `console` (for people) or `json` (for collectors)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    _configure_structlog(shared)
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _in_one_line,
            _renderer(style),
        ],
        "foreign_pre_chain": shared,
    }
    handler = {"class": "logging.StreamHandler", "formatter": "structured", "filters": ["known_end"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"known_end": {"()": KnownEnd}},
        "formatters": {"structured": formatter},
        "handlers": {"stderr": handler},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": LEVELS,
    }


def _configure_structlog(shared: list[Any]) -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _in_one_line(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    event["event"] = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], str(event.get("event", "")))
    return event


def _renderer(style: str) -> Any:
    if style == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
