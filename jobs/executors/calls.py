"""Makes one HTTP call to the outside: the only module that knows httpx2."""

import ssl
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Final

import httpcore2
import httpx2

from jobs.executors.network import PinnedBackend

ANSWER_LIMIT: Final = 1024 * 1024  # bytes
REDIRECTS: Final = 5
# What may follow a redirect to another site; any other header may be a secret of the first one.
_HARMLESS: Final = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-length", "content-type", "user-agent", "host"}
)


class CallFailed(Exception):
    """No whole answer came; the message says why, and names no header and no query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to send. Header values are bytes, so that no encoding has to be guessed."""

    method: str
    url: str
    headers: Mapping[str, bytes]
    body: bytes | None = None
    follow_redirects: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; header names are in small letters."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def send(call: Call, *, check: Callable[[], None]) -> Answer:
    """Makes the call. Raises CallFailed, AddressRefused, or what `check` raises.

    `check` is asked at least each quarter of a second whether to go on; there is no other time limit.
    """
    headers = {b"accept-encoding": b"identity", b"user-agent": b"Headway"}
    headers |= {name.encode(): value for name, value in call.headers.items()}
    with httpx2.Client(transport=_Transport(check), timeout=None, trust_env=False) as client:
        try:
            request = client.build_request(call.method, call.url, headers=headers, content=call.body)
            for _ in range(REDIRECTS + 1):
                response = client.send(request, stream=True)
                if not (call.follow_redirects and response.next_request):
                    return _answer(response, check)
                response.close()
                request = _redirected(request, response.next_request)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise CallFailed(str(error) or type(error).__name__) from None
    raise CallFailed(f"There were more than {REDIRECTS} redirects.")


class _Transport(httpx2.HTTPTransport):
    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        # httpx2 has no parameter for the network backend, only httpcore2's pool has.
        self._pool = httpcore2.ConnectionPool(ssl_context=_tls(), network_backend=PinnedBackend(check))


@cache
def _tls() -> ssl.SSLContext:
    """Kept, because reading the certificates takes longer than most calls; SSL_CERT_FILE may name others."""
    return httpx2.create_ssl_context()


def _redirected(first: httpx2.Request, following: httpx2.Request) -> httpx2.Request:
    if _site(first.url) != _site(following.url):
        for name in [name for name in following.headers if name.lower() not in _HARMLESS]:
            del following.headers[name]
    return following


def _site(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _answer(response: httpx2.Response, check: Callable[[], None]) -> Answer:
    body = b""
    with closing(response):
        for chunk in response.iter_raw():
            check()
            body = _bounded(body + chunk)
    return Answer(
        status=response.status_code,
        reason=response.reason_phrase,
        headers=dict(response.headers),
        body=_decoded(body, response.headers.get("content-encoding", "identity")),
    )


def _decoded(body: bytes, encoding: str) -> bytes:
    """An answer that is compressed although nobody asked for it; never more than the limit of it."""
    if encoding.lower() not in {"gzip", "x-gzip", "deflate"}:
        return body
    try:
        decoded = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, ANSWER_LIMIT + 1)
    except zlib.error as error:
        raise CallFailed(f"The answer is no {encoding}: {error}.") from None
    return _bounded(decoded)


def _bounded(body: bytes) -> bytes:
    if len(body) > ANSWER_LIMIT:
        raise CallFailed(f"The answer has more than {ANSWER_LIMIT} bytes, which is the most allowed.")
    return body
