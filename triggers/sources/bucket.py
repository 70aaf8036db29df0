"""A bucket that is listed as S3 does (ListObjectsV2): each object that arrives or is written anew.

The whole listing is compared with what was taken, because keys are in no order of time: what sorts before the
last key that was seen would be lost behind a mark. So the prefix should hold thousands of objects, not millions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from jobs.executors.addresses import AddressRefused
from jobs.executors.calls import Answer, Call, CallFailed, send
from jobs.expectations import shown
from triggers.sources import sigv4
from triggers.sources.base import Found, Listed, Look, Place, Unreachable

EVENT: Final = "object"
OBJECTS_LIMIT: Final = 200_000
# Objects an answer: with the longest keys that S3 allows, it stays below what is read of an answer.
PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An object as it is listed."""

    key: str
    etag: str
    size: int
    modified: str

    @property
    def identity(self) -> str:
        """Another one when the object is written anew."""
        return f"{self.key}\n{self.etag}\n{self.modified}"


class Bucket(Listed):
    """Objects are whole as soon as they are listed, so none has to rest."""

    label = "Bucket (S3)"
    options: Mapping[str, Any] = {
        "endpoint": {
            "type": "string",
            "minLength": 1,
            "maxLength": 500,
            "description": "https://s3.eu-central-1.amazonaws.com, or the address of another service.",
        },
        "bucket": {
            "type": "string",
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$",
            "description": "Its name.",
        },
        "prefix": {
            "type": "string",
            "maxLength": 1024,
            "default": "",
            "description": "Only keys that begin so. It should hold thousands of objects, not millions.",
        },
        "region": {
            "type": "string",
            "pattern": "^[a-z0-9-]{1,50}$",
            "default": "us-east-1",
            "description": "As the service is signed for.",
        },
        "access_key": {
            "type": "string",
            "maxLength": 128,
            "pattern": "^[A-Za-z0-9_.-]*$",
            "default": "",
            "description": "The id of the access key; none: the bucket is public.",
        },
        "style": {
            "type": "string",
            "enum": ["path", "virtual"],
            "default": "path",
            "description": "Whether the bucket is named in the path, or before the host.",
        },
    }
    marks: Sequence[str] = ("endpoint", "bucket", "prefix")
    credential = "the secret access key"
    sample: Mapping[str, Any] = {
        "bucket": "landing",
        "key": "in/sales-2026-01.csv",
        "name": "sales-2026-01.csv",
        "size": 20_480,
        "etag": "9b2cf535f27731c974343645a3985328",
        "modified_at": "2026-01-31T08:15:00Z",
    }

    def faults(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """An endpoint that is no address of a service."""
        try:
            parts = urlsplit(options["endpoint"])
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            plain = not (parts.query or parts.fragment or parts.username or parts.path.strip("/"))
        except ValueError:
            good = plain = False
        if good and plain:
            return {}
        return {
            "endpoint": f"{shown(options['endpoint'])} is no endpoint; expected https://host, without a path."
        }

    def check_secret(self, secret: str) -> None:
        """Raises ValueError for what no service gives out."""
        if not 8 <= len(secret) <= 500 or not secret.isprintable():
            raise ValueError(f"It has {len(secret)} characters; expected 8 to 500 that can be printed.")

    def look(self, place: Place) -> Look:
        """The objects that were not taken, the oldest first."""
        items = sorted(_listed(place), key=lambda item: (item.modified, item.key))
        known = place.memory.known([item.identity for item in items])
        present = {item.identity for item in items}
        fresh = [item for item in items if item.identity not in known]
        if place.begins and not place.from_beginning:
            return Look(passed=[(item.identity, None) for item in fresh], present=present)
        found = [_found(place.options["bucket"], item) for item in fresh[: place.limit]]
        return Look(found=found, present=present, more=len(fresh) > place.limit)


def _listed(place: Place) -> Iterator[Item]:
    token, count = "", 0
    while True:
        query = {"list-type": "2", "max-keys": str(PAGE), "encoding-type": "url"}
        query |= {"prefix": place.options["prefix"]} if place.options["prefix"] else {}
        query |= {"continuation-token": token} if token else {}
        root = _read(_get(place, query))
        for entry in root.iterfind("{*}Contents"):
            item = _item(entry)
            if not item.key.endswith("/"):  # what consoles make for a folder
                count += 1
                yield item
        token = root.findtext("{*}NextContinuationToken") or ""
        if (root.findtext("{*}IsTruncated") or "").strip() != "true" or not token:
            return
        if count > OBJECTS_LIMIT:
            raise Unreachable(f"More than {OBJECTS_LIMIT} objects begin so: choose a narrower prefix.")


def _get(place: Place, query: Mapping[str, str]) -> Answer:
    options = place.options
    parts = urlsplit(options["endpoint"])
    is_virtual = options["style"] == "virtual"
    host = f"{options['bucket']}.{parts.netloc}" if is_virtual else parts.netloc
    path = "/" if is_virtual else f"/{quote(options['bucket'])}"
    text = sigv4.canonical(query)
    headers = {"host": host, "x-amz-content-sha256": sigv4.NO_BODY, "x-amz-date": sigv4.stamp(place.now)}
    if options["access_key"]:
        at = datetime.now(UTC)  # the services compare it with their clocks, and not with our database's
        headers["x-amz-date"] = sigv4.stamp(at)
        signer = sigv4.Signer(
            access_key=options["access_key"], secret_key=place.secret, region=options["region"]
        )
        headers["authorization"] = signer.authorization(path=path, query=text, headers=headers, at=at)
    sent = {name: value.encode() for name, value in headers.items() if name != "host"}
    call = Call(method="GET", url=f"{parts.scheme}://{host}{path}?{text}", headers=sent)
    try:
        answer = send(call, check=place.check)
    except (CallFailed, AddressRefused) as error:
        raise Unreachable(f"{parts.netloc} can't be asked: {error}") from None
    if answer.status != 200:
        raise Unreachable(f"{parts.netloc} answered {answer.status}{_why(answer)}")
    return answer


def _why(answer: Answer) -> str:
    """What the service says of an error: its code and message."""
    try:
        root = _read(answer)
    except Unreachable:
        return "."
    told = [root.findtext(f"{{*}}{name}") or root.findtext(name) or "" for name in ("Code", "Message")]
    return f": {' – '.join(text[:200] for text in told if text)}" if any(told) else "."


def _read(answer: Answer) -> ElementTree.Element:
    # Without a document type there are no entities, and so nothing that grows while it is read.
    if b"<!DOCTYPE" in answer.body.upper():
        raise Unreachable("The answer has a document type; expected plain XML.")
    try:
        return ElementTree.fromstring(answer.body)  # noqa: S314 - see above
    except ElementTree.ParseError as error:
        raise Unreachable(f"The answer is no XML: {error}.") from None


def _item(entry: ElementTree.Element) -> Item:
    told = {name: entry.findtext(f"{{*}}{name}") or "" for name in ("Key", "ETag", "Size", "LastModified")}
    size = told["Size"]
    return Item(
        key=unquote(told["Key"].replace("+", "%20")),
        etag=told["ETag"].strip('"'),
        size=int(size) if size.isascii() and size.isdigit() else 0,
        modified=told["LastModified"],
    )


def _found(bucket: str, item: Item) -> Found:
    payload = {
        "bucket": bucket,
        "key": item.key,
        "name": item.key.rpartition("/")[2],
        "size": item.size,
        "etag": item.etag,
        "modified_at": item.modified,
    }
    return Found(identity=item.identity, event=EVENT, payload=payload)
