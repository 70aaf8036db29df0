"""triggers.events.schemes: the published examples hold, and nothing else does."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as few
from hypothesis import strategies as st

from triggers.events import payload, schemes
from triggers.events.base import Received, Rejected, Told, Unreadable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRETS = {slug: scheme.new_secret() for slug, scheme in schemes.SCHEMES.items()}
BODY = b'{"type": "a", "n": 1}'
ALL = sorted(schemes.SCHEMES)
SIGNED = [slug for slug in ALL if slug not in {"gitlab", "token"}]
TIMED = ["standard", "slack"]


def sent(slug: str, *, body: bytes = BODY, at: datetime = NOW, secret: str = "", **options: Any) -> Received:
    complete = schemes.complete(slug, options)
    scheme = schemes.SCHEMES[slug]
    headers = scheme.sign(body, secret=secret or SECRETS[slug], key="id-1", at=at, options=complete)
    return Received(headers={name.lower(): text for name, text in headers.items()}, body=body, at=NOW)


def verify(slug: str, received: Received, *secrets: str, **options: Any) -> None:
    complete = schemes.complete(slug, options)
    schemes.SCHEMES[slug].verify(received, secrets=secrets or (SECRETS[slug],), options=complete)


def read(slug: str, body: Any, headers: Mapping[str, str] | None = None) -> Told:
    received = Received(headers=headers or {}, body=b"", at=NOW)
    return schemes.SCHEMES[slug].read(received, body, options=schemes.complete(slug, {}))


def test_the_example_of_github_s_documentation_is_accepted() -> None:
    headers = {
        "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    }
    received = Received(headers=headers, body=b"Hello, World!", at=NOW)
    verify("github", received, "It's a Secret to Everybody")
    with pytest.raises(Rejected):
        verify(
            "github", Received(headers=headers, body=b"Hello, World?", at=NOW), "It's a Secret to Everybody"
        )


def test_the_example_of_the_standard_webhooks_libraries_is_accepted() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime.fromtimestamp(1614265330, UTC)
    received = Received(headers=headers, body=b'{"test": 2432232314}', at=at)
    verify("standard", received, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    verify("standard", received, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    several = {**headers, "webhook-signature": f"v1a,x v2,y v1,AAAA {headers['webhook-signature']}"}
    verify(
        "standard", Received(headers=several, body=received.body, at=at), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    )


def test_the_example_of_slack_s_documentation_is_accepted() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
        b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "content-type": "application/x-www-form-urlencoded",
    }
    received = Received(headers=headers, body=body, at=datetime.fromtimestamp(1531420618, UTC))
    verify("slack", received, "8f742231b10e8888abcd99yyyzzz85a5")
    told = read("slack", payload.read(received))
    assert told.event == "/webhook-collect"
    assert told.key == "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"


@pytest.mark.parametrize("slug", ALL)
def test_what_a_sender_signs_is_accepted_by_any_valid_secret(slug: str) -> None:
    other = schemes.SCHEMES[slug].new_secret()
    verify(slug, sent(slug))
    verify(slug, sent(slug), other, SECRETS[slug])
    for secrets in ((other,), ()):
        with pytest.raises(Rejected):
            schemes.SCHEMES[slug].verify(sent(slug), secrets=secrets, options=schemes.complete(slug, {}))


@pytest.mark.parametrize("slug", SIGNED)
@pytest.mark.parametrize(
    "changed", [b'{"n": 1, "type": "a"}', b'{"type":"a","n":1}', BODY + b" ", b"", BODY.replace(b"1", b"2")]
)
def test_a_changed_byte_is_refused_and_so_is_the_same_json_written_otherwise(
    slug: str, changed: bytes
) -> None:
    found = sent(slug)
    with pytest.raises(Rejected):
        verify(slug, Received(headers=found.headers, body=changed, at=NOW))


@pytest.mark.parametrize("slug", ALL)
def test_a_missing_header_is_refused(slug: str) -> None:
    with pytest.raises(Rejected, match="missing"):
        verify(slug, Received(headers={}, body=BODY, at=NOW))


@pytest.mark.parametrize("slug", TIMED)
@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_time_and_one_to_come_are_refused(slug: str, minutes: int) -> None:
    verify(slug, sent(slug, at=NOW + timedelta(minutes=minutes / 2)))
    with pytest.raises(Rejected, match="360 seconds"):
        verify(slug, sent(slug, at=NOW + timedelta(minutes=minutes)))


@pytest.mark.parametrize("slug", TIMED)
@pytest.mark.parametrize("text", ["yesterday", "-1", "1e9", "٣", "9" * 400, "1614265330.5"])
def test_a_time_that_is_none_is_refused(slug: str, text: str) -> None:
    found = sent(slug)
    name = next(name for name in found.headers if "timestamp" in name)
    with pytest.raises(Rejected, match="timestamp"):
        verify(slug, Received(headers={**found.headers, name: text}, body=BODY, at=NOW))


@few(max_examples=60)
@given(slug=st.sampled_from(ALL), data=st.data())
def test_no_header_makes_verification_fail_otherwise_than_by_refusing(slug: str, data: st.DataObject) -> None:
    texts = st.text(st.characters(max_codepoint=255), max_size=60)
    headers = {name: data.draw(texts) for name in sent(slug).headers}
    with pytest.raises(Rejected):
        verify(slug, Received(headers=headers, body=data.draw(st.binary(max_size=40)), at=NOW))


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "sha1"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_an_hmac_is_what_the_trigger_says(algorithm: str, encoding: str) -> None:
    chosen: dict[str, Any] = {
        "algorithm": algorithm, "encoding": encoding, "prefix": "v1=", "header": "X-Sign",
        "timestamp_header": "X-Time",
    }  # fmt: skip
    verify("hmac", sent("hmac", **chosen), **chosen)
    with pytest.raises(Rejected):
        verify("hmac", sent("hmac", **chosen), **{**chosen, "timestamp_header": ""})
    with pytest.raises(Rejected, match="old"):
        verify("hmac", sent("hmac", at=NOW - timedelta(hours=1), **chosen), **chosen)


def test_hexadecimal_digits_may_be_of_either_case_and_the_prefix_may_not() -> None:
    found = sent("hmac", prefix="Sha=")
    upper = "Sha=" + found.headers["x-signature"].removeprefix("Sha=").upper()
    verify("hmac", Received(headers={"x-signature": upper}, body=BODY, at=NOW), prefix="Sha=")
    wrong = upper.replace("Sha=", "SHA=")
    with pytest.raises(Rejected):
        verify("hmac", Received(headers={"x-signature": wrong}, body=BODY, at=NOW), prefix="Sha=")


@pytest.mark.parametrize(
    ("slug", "secret"),
    [
        ("standard", "whsec_!!"),
        ("standard", "whsec_AAAA"),
        ("github", "short"),
        ("hmac", "x" * 501),
        ("token", "tab\t" * 3),
    ],
)
def test_a_text_that_can_be_no_secret_is_refused_without_being_quoted(slug: str, secret: str) -> None:
    with pytest.raises(ValueError, match="secret") as caught:
        schemes.SCHEMES[slug].check_secret(secret)
    assert secret not in str(caught.value)


@pytest.mark.parametrize("slug", ["github", "gitlab"])
def test_a_push_tells_branch_and_paths(slug: str) -> None:
    details = read(slug, schemes.SCHEMES[slug].sample).details
    assert (details["branch"], details["tag"]) == ("main", None)
    assert len(details["paths"]) == 2
    assert read(slug, {"ref": "refs/tags/v1", "commits": []}).details == {
        "branch": None, "tag": "v1", "paths": [],
    }  # fmt: skip


@few(max_examples=80)
@given(slug=st.sampled_from(ALL), data=st.data())
def test_any_payload_is_read(slug: str, data: st.DataObject) -> None:
    leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    names = st.sampled_from(["type", "event", "ref", "commits", "added", "challenge", "x"])
    found = data.draw(
        st.recursive(
            leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner), max_leaves=8
        )
    )
    told = read(slug, found)
    assert isinstance(told.event, str)
    assert payload.document(found, told.details)["$"]["payload"] == found


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b""),
        ("application/json", b"{"),
        ("application/json", b"\xff"),
        ("application/json", b"NaN"),
        ("application/json", b"[1e999]"),
        ("application/json", b"1" * 5000),
        ("application/json", b"[" * 100_000),
        ("application/json", b"[" * 65 + b"]" * 65),
        ("application/x-www-form-urlencoded", b"payload={"),
        ("application/x-www-form-urlencoded", b"a=%ff"),
        ("application/x-www-form-urlencoded", b"a=1&" * 2000),
    ],
)
def test_a_body_that_can_not_be_read_is_said_so(kind: str, body: bytes) -> None:
    with pytest.raises(Unreadable, match="body"):
        payload.read(Received(headers={"content-type": kind}, body=body, at=NOW))


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("", b"[1, 2]", [1, 2]),
        ("application/cloudevents+json", "\ufeff7".encode(), 7),
        ("application/x-www-form-urlencoded", b"payload=%7B%22a%22%3A1%7D", {"a": 1}),
        ("application/x-www-form-urlencoded", b"a=1&b=&a=2", {"a": "2", "b": ""}),
        ("text/plain", b"Hello, World!", "Hello, World!"),
        ("application/json", b"[" * 64 + b"]" * 64, None),
    ],
)
def test_a_body_is_read_by_its_type(kind: str, body: bytes, expected: Any) -> None:
    found = payload.read(Received(headers={"content-type": kind}, body=body, at=NOW))
    assert expected is None or found == expected
