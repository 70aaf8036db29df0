"""What is answered where a request can't even be read as HTTP: a problem like all others, not gunicorn's HTML page."""

import json
import socket
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from django.conf import settings

from config.api.catalogue import CATALOGUE
from config.api.problems import CONTENT_TYPE, PREFIX

# Statuses that have an entry in the catalogue; what else can't be read is a bad request.
_CODES: Final[Mapping[int, str]] = {
    414: "address_too_long",
    431: "headers_too_large",
    403: "permission_denied",
    500: "internal_error",
}
SECONDS: Final = 1.0  # for an answer that fits into any buffer


def write_error(sock: socket.socket, status: int, reason: str, message: str) -> None:
    """Takes the place of `gunicorn.util.write_error`; `message` is its words for what is wrong."""
    kind = CATALOGUE[_CODES.get(status, "bad_request")]
    text = message.strip().rstrip(".") or kind.title
    problem = {
        "type": f"{str(settings.PUBLIC_URL).rstrip('/')}{PREFIX}errors/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": f"{text}.",
        "code": kind.code,
        "errors": [],
        "request_id": str(uuid.uuid4()),
    }
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}\r\nConnection: close\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    sock.settimeout(SECONDS)
    sock.sendall(head.encode() + body)
