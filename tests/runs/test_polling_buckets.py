"""runs.polling with buckets: a real HTTP server that lists objects as S3 does, in pages, and checks signatures."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

import pytest
from pytest_django import Settings

from runs.polling import Polled
from tests.factories import make_source
from tests.runs.test_polling import look, names
from triggers import sources
from triggers.models import Delivery, Source
from triggers.sources import bucket, sigv4

SECRET = "the secret of the bucket"
SIGNER = sigv4.Signer(access_key="AKIA1", secret_key=SECRET, region="eu-central-1")


@dataclass
class Storage:
    """A service with one bucket; `objects`: key to (etag, time)."""

    url: str = ""
    objects: dict[str, tuple[str, str]] = field(default_factory=dict)
    requests: int = 0
    answer: tuple[int, bytes] | None = None

    def put(self, key: str, *, etag: str = "e1", at: str = "2026-01-31T08:15:00.000Z") -> None:
        self.objects[key] = (etag, at)

    def listing(self, query: dict[str, str]) -> bytes:
        keys = sorted(key for key in self.objects if key.startswith(query.get("prefix", "")))
        begin = int(query.get("continuation-token", "0"))
        count = int(query["max-keys"])
        entries = "".join(
            f"<Contents><Key>{escape(quote(key))}</Key><LastModified>{self.objects[key][1]}</LastModified>"
            f"<ETag>&quot;{self.objects[key][0]}&quot;</ETag><Size>7</Size></Contents>"
            for key in keys[begin : begin + count]
        )
        more = begin + count < len(keys)
        token = f"<NextContinuationToken>{begin + count}</NextContinuationToken>" if more else ""
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        return (
            f'<?xml version="1.0"?><ListBucketResult xmlns="{space}"><Name>landing</Name>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
        ).encode()


@pytest.fixture
def storage(settings: Settings) -> Iterator[Storage]:
    """The service, running."""
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.1"]
    found = Storage()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests += 1
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            status, body = found.answer or (200, b"")
            if found.answer is None:
                status, body = (
                    (200, found.listing(query)) if self.is_signed(parts.path, query) else (403, DENIED)
                )
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def is_signed(self, path: str, query: dict[str, str]) -> bool:
            names = ("host", "x-amz-content-sha256", "x-amz-date")
            headers = {name: self.headers[name] for name in names}
            at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            due = SIGNER.authorization(path=path, query=sigv4.canonical(query), headers=headers, at=at)
            return bool(self.headers["Authorization"] == due)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield found
        server.shutdown()


DENIED = b"<Error><Code>SignatureDoesNotMatch</Code><Message>It does not.</Message></Error>"


def polled(storage: Storage, *, secret: str = SECRET, **fields: Any) -> Source:
    options = {"endpoint": storage.url, "bucket": "landing", "region": "eu-central-1", "access_key": "AKIA1"}
    given = {"options": {**options, **fields.pop("options", {})}, "begin": "beginning", **fields}
    return make_source("bucket", secret=secret, **given)


pytestmark = pytest.mark.django_db


def test_objects_come_once_over_many_pages_and_none_is_lost_behind_the_last_key(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "PAGE", 2)
    for key in ("in/m.csv", "in/n ü+&.csv", "in/o.csv", "in/folder/", "out/x.csv"):
        storage.put(key)
    source = polled(storage, options={"prefix": "in/"})
    assert look(source) == Polled(found=3)
    assert storage.requests == 2
    assert sorted(names()) == ["m.csv", "n ü+&.csv", "o.csv"]
    storage.put("in/a.csv", at="2020-01-01T00:00:00.000Z")  # sorts, and is, before all that were seen
    assert look(source) == Polled(found=1)
    storage.put("in/m.csv", etag="e2")
    assert look(source) == Polled(found=1)
    assert look(source) == Polled(found=0)


def test_from_now_on_only_what_arrives(storage: Storage) -> None:
    storage.put("old.csv")
    source = polled(storage, begin="now")
    assert look(source) == Polled(found=0)
    storage.put("new.csv")
    assert look(source) == Polled(found=1)
    delivery = Delivery.objects.get()
    assert (delivery.event, "etag" in bytes(delivery.body).decode()) == ("object", True)


def test_what_the_service_says_is_told_and_the_secret_is_not(storage: Storage) -> None:
    source = polled(storage, secret="another secret")
    told = look(source).error
    assert "403: SignatureDoesNotMatch – It does not." in told
    assert "another" not in told
    storage.answer = (200, b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    assert "document type" in look(source).error
    storage.answer = (200, b"{}")
    assert "no XML" in look(source).error
    storage.answer = (503, b"")
    assert look(source).error.endswith("answered 503.")


def test_private_addresses_are_refused_as_for_jobs(storage: Storage, settings: Settings) -> None:
    settings.HTTP_PRIVATE_ALLOWED = []
    assert "expected a public address" in look(polled(storage)).error
    assert storage.requests == 0


@pytest.mark.parametrize(
    "endpoint", ["ftp://x", "https://", "https://u:p@x", "https://x/path", "https://x:y", "x"]
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    assert sources.faults("bucket", {"endpoint": endpoint, "bucket": "landing"})
