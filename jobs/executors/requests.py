"""Decides what an `http` job may be configured to call, and makes the call out of it and the parameters."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from jobs.executors.calls import Call
from jobs.executors.templating import BadTemplate, Unfillable, is_absent, parse
from jobs.expectations import shown
from jobs.faults import Fault, pointer

KEYS: Final = ("method", "url", "headers", "body", "expected_status", "timeout_seconds", "follow_redirects")
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
DEFAULT_TIMEOUT_SECONDS: Final = 30
LONGEST_TIMEOUT_SECONDS: Final = 3600
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# These frame the message or say where it goes; they follow from the URL and the body.
_HEADERS_REFUSED: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
)
# A literal scheme and host, then the rest; a placeholder can stand in the rest only.
_URL: Final = re.compile(r"(?P<site>https?://[^/?#\s\\@]+)(?P<rest>[/?][^#\s\\]*)?", re.IGNORECASE)
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
Path = tuple[str | int, ...]


def faults(configuration: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with an `http` job's configuration."""
    expected = ", ".join(KEYS)
    found = [
        Fault(pointer=pointer(key), code="unknown", detail=f"{key!r} is unknown; expected {expected}.")
        for key in configuration
        if key not in KEYS
    ]
    found += _url_faults(configuration.get("url"))
    found += _header_faults(configuration.get("headers", {}))
    found += _body_faults(configuration.get("body"), ("body",))
    timeout = configuration.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS)
    checks = (
        ("method", configuration.get("method", "GET") in METHODS, f"one of {', '.join(METHODS)}"),
        (
            "expected_status",
            _are_statuses(configuration.get("expected_status", [200])),
            "statuses such as [200]",
        ),
        (
            "timeout_seconds",
            _is_number(timeout) and 0 < timeout <= LONGEST_TIMEOUT_SECONDS,
            f"more than 0 and at most {LONGEST_TIMEOUT_SECONDS} seconds",
        ),
        ("follow_redirects", isinstance(configuration.get("follow_redirects", False), bool), "true or false"),
    )
    found += [
        _fault((name,), "value", f"{name} is {shown(configuration[name])}; expected {wanted}.")
        for name, holds, wanted in checks
        if not holds
    ]
    return found


def fill(configuration: Mapping[str, Any], parameters: Mapping[str, Any]) -> Call:
    """The call that a checked configuration means with these parameters. Raises Unfillable.

    In the URL every value is percent-encoded. A header whose parameter is not given is left out. In a
    JSON body a text that is one placeholder and nothing else becomes the parameter's JSON value.
    """
    headers = _headers(configuration.get("headers", {}), parameters)
    body = configuration.get("body")
    if body is None:
        content = None
    elif isinstance(body, str):
        content = parse(body).fill(parameters).encode()
        headers.setdefault("content-type", b"text/plain; charset=utf-8")
    else:
        content = json.dumps(_filled(body, parameters), ensure_ascii=False).encode()
        headers.setdefault("content-type", b"application/json")
    return Call(
        method=configuration.get("method", "GET"),
        url=_url(configuration["url"], parameters),
        headers=headers,
        body=content,
        follow_redirects=configuration.get("follow_redirects", False),
    )


def _url(text: str, parameters: Mapping[str, Any]) -> str:
    template = parse(text)
    before = ""
    for literal, name in zip(template.parts[::2], template.names, strict=False):
        before += literal
        if parameters.get(name) == "" and "?" not in before:
            raise Unfillable(f"the parameter {name!r} is empty, and the path of the URL needs a value.")
    url = template.fill(parameters, lambda value: quote(value, safe=""))
    if {".", ".."} & set(urlsplit(url).path.split("/")):
        raise Unfillable("a parameter would make '.' or '..' of a part of the URL's path.")
    return url


def _headers(headers: Mapping[str, str], parameters: Mapping[str, Any]) -> dict[str, bytes]:
    filled: dict[str, bytes] = {}
    for name, value in headers.items():
        template = parse(value)
        if is_absent(template, parameters):
            continue
        text = template.fill(parameters).strip()
        if _UNSAFE.search(text):
            raise Unfillable(f"the header {name!r} would hold a line break or another control character.")
        filled[name.lower()] = text.encode()
    return filled


def _filled(body: Any, parameters: Mapping[str, Any]) -> Any:
    if isinstance(body, str):
        template = parse(body)
        return parameters.get(template.only) if template.only else template.fill(parameters)
    if isinstance(body, Mapping):
        return {key: _filled(value, parameters) for key, value in body.items()}
    return [_filled(value, parameters) for value in body] if isinstance(body, list) else body


def _url_faults(url: Any) -> Iterator[Fault]:
    if not isinstance(url, str):
        yield _fault(
            ("url",), "type", f"url is {shown(url)}; expected a URL such as https://example.com/path."
        )
        return
    template_faults = list(_template_faults(url, ("url",)))
    yield from template_faults
    if template_faults:
        return
    template = parse(url)
    literal = _URL.fullmatch(template.parts[0])
    if literal is None or any(re.search(r"[#\s\\]", part) for part in template.parts[2::2]):
        wanted = "http:// or https://, a host, and no user name, blank or fragment"
        yield _fault(("url",), "url", f"url is {shown(url)}; expected {wanted}.")
    elif template.names and literal["rest"] is None:
        wanted = "placeholders only in the path and the query, after the host"
        yield _fault(("url",), "placeholder", f"url is {shown(url)}; expected {wanted}.")
    elif not _has_valid_port(literal["site"]):
        yield _fault(("url",), "url", f"url is {shown(url)}; expected a host and a port from 1 to 65535.")


def _has_valid_port(site: str) -> bool:
    try:
        parts = urlsplit(site)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _header_faults(headers: Any) -> Iterator[Fault]:
    if not isinstance(headers, Mapping):
        yield _fault(
            ("headers",), "type", f"headers is {shown(headers)}; expected an object of names and texts."
        )
        return
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _HEADERS_REFUSED:
            detail = (
                f"The header {name!r} can't be set; expected a header name that does not frame the message."
            )
            yield _fault(("headers", name), "name", detail)
        if not isinstance(value, str) or _UNSAFE.search(value):
            yield _fault(("headers", name), "value", f"The header {name!r} must be a text of one line.")
        else:
            yield from _template_faults(value, ("headers", name))


def _body_faults(body: Any, path: Path) -> Iterator[Fault]:
    if isinstance(body, str):
        yield from _template_faults(body, path)
    elif isinstance(body, Mapping):
        for key, value in body.items():
            yield from _body_faults(value, (*path, key))
    elif isinstance(body, list):
        for index, value in enumerate(body):
            yield from _body_faults(value, (*path, index))


def _template_faults(text: str, path: Path) -> Iterator[Fault]:
    try:
        parse(text)
    except BadTemplate as error:
        yield _fault(path, "template", str(error))


def _are_statuses(statuses: Any) -> bool:
    return (
        isinstance(statuses, list)
        and bool(statuses)
        and all(isinstance(status, int) and 100 <= status <= 599 for status in statuses)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fault(path: Path, code: str, detail: str) -> Fault:
    return Fault(pointer=pointer(*path), code=code, detail=detail)
