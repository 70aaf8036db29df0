"""Jobs that are HTTP calls: what is sent, what is made of the answer, and which addresses are never called."""

import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import which
from threading import Thread
from typing import Any

import pytest
from pytest_django import Settings

from jobs import executors
from jobs.executors import Cancelled, Failed, InvalidConfiguration, Outcome, Succeeded, addresses, calls
from tests.jobs.contexts import RecordingContext, a_launch
from tests.jobs.outside import Outside, an_outside


@pytest.fixture
def outside(settings: Settings) -> Iterator[Outside]:
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.1"]
    with an_outside() as outside:
        yield outside


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


def run(
    context: RecordingContext, url: str, *, parameters: Mapping[str, Any] | None = None, **configuration: Any
) -> Outcome:
    launch = a_launch("http", {"url": url, **configuration}, parameters=parameters)
    return executors.get("http").execute(launch, context)


def failed(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


def result(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeeded), outcome
    assert isinstance(outcome.result, dict)
    return outcome.result


# What is sent


def test_parameters_are_encoded_into_path_and_query(outside: Outside, context: RecordingContext) -> None:
    parameters = {"city": "Indianapolis, IN/../x?y#z&a=b", "page": 2, "tags": ["a b"]}
    result(run(context, f"{outside.url}/json/{{city}}?page={{page}}&tags={{tags}}", parameters=parameters))
    seen = outside.seen[0]
    assert seen["path"] == "/json/Indianapolis%2C%20IN%2F..%2Fx%3Fy%23z%26a%3Db"
    assert seen["query"] == "page=2&tags=%5B%22a%20b%22%5D"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("..", "'.' or '..'"),
        (".", "'.' or '..'"),
        ("", "'id' is empty"),
        (None, "'id' is not given"),
        ("a\0b", "U+0000"),
    ],
)
def test_a_value_that_would_change_the_path_is_refused(
    outside: Outside, context: RecordingContext, value: str | None, said: str
) -> None:
    outcome = failed(run(context, f"{outside.url}/json/{{id}}/x", parameters={"id": value}, method="DELETE"))
    assert said in outcome.message
    assert not outcome.retryable
    assert outside.seen == []


def test_headers_are_filled_and_left_out_without_their_parameter(
    outside: Outside, context: RecordingContext
) -> None:
    headers = {"Authorization": "Bearer {token}", "X-City": "{city}", "X-None": "{absent}"}
    result(run(context, f"{outside.url}/json", headers=headers, parameters={"token": "t0p", "city": "Köln"}))
    seen = outside.seen[0]["headers"]
    assert isinstance(seen, dict)
    assert seen["authorization"] == "Bearer t0p"
    assert seen["x-city"].encode("latin-1").decode() == "Köln"
    assert "x-none" not in seen
    assert seen["user-agent"] == "Headway"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x7f"])
def test_a_header_is_never_split(outside: Outside, context: RecordingContext, value: str) -> None:
    outcome = failed(run(context, f"{outside.url}/json", headers={"X-Name": "{n}"}, parameters={"n": value}))
    assert "'X-Name' would hold a line break" in outcome.message
    assert outside.seen == []


def test_a_json_body_keeps_the_types_of_parameters(outside: Outside, context: RecordingContext) -> None:
    body = {"ids": "{ids}", "text": "city: {city}", "fixed": [1, None, "{{x}}"], "none": "{absent}"}
    result(
        run(context, f"{outside.url}/json", method="POST", body=body, parameters={"ids": [1, 2], "city": "Ö"})
    )
    assert (
        outside.seen[0]["body"]
        == '{"ids": [1, 2], "text": "city: Ö", "fixed": [1, null, "{x}"], "none": null}'
    )
    assert outside.seen[0]["headers"]["content-type"] == "application/json"  # type: ignore[index]


def test_a_text_body_is_a_template(outside: Outside, context: RecordingContext) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    result(
        run(
            context,
            f"{outside.url}/json",
            method="PUT",
            body="a={a}&{{b}}",
            headers=headers,
            parameters={"a": 1},
        )
    )
    assert outside.seen[0]["body"] == "a=1&{b}"
    assert outside.seen[0]["headers"]["content-type"] == headers["Content-Type"]  # type: ignore[index]


# What is made of the answer


def test_a_json_answer_is_the_result(outside: Outside, context: RecordingContext) -> None:
    answer = result(run(context, f"{outside.url}/json?key=hidden"))
    assert answer["status"] == 200
    assert answer["json"] == {"ok": True}
    assert answer["headers"]["etag"] == '"1"'
    assert "server" not in answer["headers"]
    assert "GET http://127.0.0.1" in context.text
    assert "200 OK, 12 bytes" in context.text
    assert "hidden" not in context.text


@pytest.mark.parametrize(
    ("path", "text", "truncated"),
    [
        ("text", "caf\ufffd " + "x" * 1995, True),
        ("latin", "café", False),
        ("broken_json", '{"a": NaN', False),
    ],
)
def test_any_other_answer_is_an_excerpt(
    outside: Outside, context: RecordingContext, path: str, text: str, truncated: bool
) -> None:
    answer = result(run(context, f"{outside.url}/{path}"))
    assert (answer["text"], answer["truncated"]) == (text, truncated)


def test_json_too_large_for_a_result_is_an_excerpt(
    outside: Outside, context: RecordingContext, settings: Settings
) -> None:
    settings.RESULT_LIMIT = 50
    assert result(run(context, f"{outside.url}/json"))["text"] == '{"ok": true}'


def test_a_head_request_has_no_body(outside: Outside, context: RecordingContext) -> None:
    assert result(run(context, f"{outside.url}/json", method="HEAD"))["text"] == ""


def test_an_answer_that_is_packed_unasked_is_unpacked(outside: Outside, context: RecordingContext) -> None:
    assert result(run(context, f"{outside.url}/gzip"))["json"] == {"packed": True}


@pytest.mark.parametrize("path", ["flood", "bomb"])
def test_an_answer_without_end_is_cut_off(outside: Outside, context: RecordingContext, path: str) -> None:
    assert "more than 1048576 bytes" in failed(run(context, f"{outside.url}/{path}")).message


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (408, True),
        (425, True),
        (429, True),
        (500, True),
        (503, True),
    ],
)
def test_the_status_says_whether_another_try_makes_sense(
    outside: Outside, context: RecordingContext, status: int, retryable: bool
) -> None:
    outcome = failed(run(context, f"{outside.url}/status/{status}"))
    assert (outcome.reason, outcome.type, outcome.retryable) == ("error", "UnexpectedStatus", retryable)
    assert f"answered {status} " in outcome.message
    assert "expected 200 to 299" in outcome.message
    assert outcome.retry_after_seconds == 17


def test_expected_statuses_are_configured(outside: Outside, context: RecordingContext) -> None:
    assert result(run(context, f"{outside.url}/status/404", expected_status=[200, 404]))["status"] == 404
    outcome = failed(run(context, f"{outside.url}/json", expected_status=[201, 202]))
    assert outcome.message.endswith("answered 200 OK; expected 201 or 202.")


def test_secrets_of_headers_are_hidden_in_errors(outside: Outside, context: RecordingContext) -> None:
    """The server repeats the header in its answer, as careless ones do."""
    outcome = failed(
        run(context, f"{outside.url}/status/403?key=k", headers={"Authorization": "Bearer hunter2"})
    )
    assert outcome.traceback == "you sent ••••••"
    assert "hunter2" not in repr(outcome)


@pytest.mark.parametrize("path", ["garbage", "hangup"])
def test_an_answer_that_is_no_http_may_be_tried_again(
    outside: Outside, context: RecordingContext, path: str
) -> None:
    outcome = failed(run(context, f"{outside.url}/{path}"))
    assert (outcome.type, outcome.retryable) == ("CallFailed", True)


def test_a_port_where_nobody_listens_is_named(outside: Outside, context: RecordingContext) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        outcome = failed(run(context, f"http://127.0.0.1:{port}/"))
    assert f"127.0.0.1 port {port}: Connection refused" in outcome.message
    assert outcome.retryable


def test_a_host_that_does_not_exist_is_named(
    context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: object, **more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outcome = failed(run(context, "http://nowhere.example/"))
    assert "'nowhere.example' can't be resolved: Name or service not known" in outcome.message
    assert outcome.retryable


# When it takes too long


@pytest.mark.parametrize("path", ["stall", "drip"])
def test_the_calls_own_limit_counts_for_the_whole_answer(
    outside: Outside, context: RecordingContext, path: str
) -> None:
    outcome = failed(run(context, f"{outside.url}/{path}", timeout_seconds=0.3))
    assert (outcome.reason, outcome.retryable) == ("timeout", True)
    assert "gave no whole answer within its 0.3 s" in outcome.message


@pytest.mark.parametrize("path", ["stall", "drip"])
def test_a_cancel_is_noticed_while_it_waits(outside: Outside, context: RecordingContext, path: str) -> None:
    context.cancel()
    assert run(context, f"{outside.url}/{path}") == Cancelled()


def test_a_resolver_that_hangs_is_left_behind(
    outside: Outside, context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*args: object, **more: object) -> list[Any]:
        outside.released.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    context.cancel()
    assert run(context, "http://slow.example/") == Cancelled()


def test_a_server_that_accepts_nothing_is_left_behind(context: RecordingContext, settings: Settings) -> None:
    """A full backlog: the kernel drops what knocks, so connecting never ends."""
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.1"]
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for knocking in (first, second):
            knocking.setblocking(False)
            knocking.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        assert failed(run(context, url, timeout_seconds=0.4)).reason == "timeout"


# Which addresses are called


PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001:db8::1",
    "2001:0:7f00:1::1",
    "2002:7f00:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_inside_are_refused(address: str) -> None:
    assert not addresses.is_allowed("host.example", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called(address: str) -> None:
    assert addresses.is_allowed("host.example", address)


@pytest.mark.parametrize(
    ("entry", "host", "address", "allowed"),
    [
        ("10.0.0.0/8", "any.example", "10.1.2.3", True),
        ("10.0.0.0/8", "any.example", "192.168.0.1", False),
        ("10.0.0.0/8", "any.example", "::ffff:10.1.2.3", True),
        ("10.1.2.3", "any.example", "10.1.2.3", True),
        ("fd00::/8", "any.example", "fd00::1", True),
        ("fd00::/8", "any.example", "10.1.2.3", False),
        ("intranet.example", "intranet.example", "10.1.2.3", True),
        ("intranet.example", "INTRANET.example.", "10.1.2.3", True),
        ("intranet.example", "evil-intranet.example", "10.1.2.3", False),
    ],
)
def test_settings_allow_hosts_and_networks(
    settings: Settings, entry: str, host: str, address: str, allowed: bool
) -> None:
    settings.HTTP_PRIVATE_ALLOWED = [entry]
    assert addresses.is_allowed(host, address) is allowed


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0",
    ],
)
def test_no_spelling_of_this_machine_is_called(
    outside: Outside, context: RecordingContext, settings: Settings, host: str
) -> None:
    settings.HTTP_PRIVATE_ALLOWED = []
    outcome = failed(run(context, f"http://{host}:{outside.port}/json"))
    assert outcome.type in {"AddressRefused", "CallFailed"}
    assert outside.seen == []
    if outcome.type == "AddressRefused":
        assert "HEADWAY_HTTP_PRIVATE_ALLOWED" in outcome.message
        assert not outcome.retryable


def test_a_name_is_resolved_once_and_its_address_is_the_one_called(
    outside: Outside, context: RecordingContext, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second answer would lead elsewhere: DNS rebinding."""
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.1"]
    asked: list[str] = []

    def resolve(host: str, port: int, **more: object) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    result(run(context, f"http://rebind.example:{outside.port}/json"))
    assert asked == ["rebind.example"]
    assert outside.seen[0]["headers"]["host"] == f"rebind.example:{outside.port}"  # type: ignore[index]


def test_the_next_address_of_a_host_is_tried(
    outside: Outside, context: RecordingContext, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.0/8"]
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.3", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
    assert result(run(context, f"http://two.example:{outside.port}/json"))["status"] == 200


def test_environment_proxies_are_not_asked(
    outside: Outside, context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert result(run(context, f"{outside.url}/json"))["status"] == 200


# Redirects


def test_a_redirect_is_not_followed_unless_configured(outside: Outside, context: RecordingContext) -> None:
    url = f"{outside.url}/redirect?to=/json"
    assert "answered 302" in failed(run(context, url)).message
    assert result(run(context, url, follow_redirects=True))["json"] == {"ok": True}


def test_a_redirect_to_an_address_inside_is_refused(outside: Outside, context: RecordingContext) -> None:
    url = f"{outside.url}/redirect?to=http://127.0.0.2:{outside.port}/json"
    outcome = failed(run(context, url, follow_redirects=True))
    assert outcome.type == "AddressRefused"
    assert "'127.0.0.2' is 127.0.0.2" in outcome.message
    assert len(outside.seen) == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://"])
def test_a_redirect_to_something_else_than_http_is_refused(
    outside: Outside, context: RecordingContext, target: str
) -> None:
    outcome = failed(run(context, f"{outside.url}/redirect?to={target}", follow_redirects=True))
    assert outcome.type == "CallFailed"


def test_redirects_without_end_are_left(outside: Outside, context: RecordingContext) -> None:
    outcome = failed(run(context, f"{outside.url}/loop", follow_redirects=True))
    assert "There were more than 5 redirects." in outcome.message


def test_secrets_stay_with_the_site_they_were_meant_for(
    outside: Outside, context: RecordingContext, settings: Settings
) -> None:
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.0/8", "localhost"]
    headers = {"Authorization": "Bearer t", "X-Api-Key": "k", "Cookie": "c=1", "Accept": "text/plain"}
    url = f"{outside.url}/redirect?to=http://localhost:{outside.port}/json"
    result(run(context, url, headers=headers, follow_redirects=True))
    there = outside.seen[1]["headers"]
    assert isinstance(there, dict)
    assert {"authorization", "x-api-key", "cookie"}.isdisjoint(there)
    assert there["accept"] == "text/plain"


def test_on_the_same_site_headers_follow(outside: Outside, context: RecordingContext) -> None:
    url = f"{outside.url}/redirect?to=/json"
    result(run(context, url, headers={"X-Api-Key": "k"}, follow_redirects=True))
    assert outside.seen[1]["headers"]["x-api-key"] == "k"  # type: ignore[index]


# TLS


@pytest.fixture
def secure_url(tmp_path: Path, settings: Settings) -> Iterator[str]:
    """A site with a certificate that nobody trusts, but whoever asks for `trusted`."""
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.0/8"]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *args: None  # type: ignore[method-assign]
        server.socket = server_side.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"https://localhost:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def trusted(secure_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    monkeypatch.setattr(calls, "_tls", lambda: trusting)


@pytest.mark.usefixtures("trusted")
def test_a_secure_site_is_called_by_its_name(secure_url: str, context: RecordingContext) -> None:
    """Although the connection goes to an address, the certificate is checked against the name."""
    body = "x" * 900_000
    answer = result(run(context, secure_url, method="POST", body=body))
    assert answer["text"] == "x" * 2000


def test_a_certificate_that_nobody_vouches_for_is_refused(secure_url: str, context: RecordingContext) -> None:
    outcome = failed(run(context, secure_url, method="POST", body="x"))
    assert "TLS with 'localhost' failed" in outcome.message
    assert "certificate verify failed" in outcome.message


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_name_is_refused(secure_url: str, context: RecordingContext) -> None:
    outcome = failed(run(context, secure_url.replace("localhost", "127.0.0.1"), method="POST", body="x"))
    assert "TLS with '127.0.0.1' failed" in outcome.message


def test_a_server_without_tls_is_named(outside: Outside, context: RecordingContext) -> None:
    outcome = failed(run(context, f"https://127.0.0.1:{outside.port}/json"))
    assert "TLS with '127.0.0.1' failed" in outcome.message


# What may be configured


@pytest.mark.parametrize(
    ("configuration", "pointer", "said"),
    [
        ({}, "/url", "url is null; expected a URL"),
        ({"url": "example.com"}, "/url", "expected http:// or https://"),
        ({"url": "ftp://example.com"}, "/url", "expected http:// or https://"),
        ({"url": "{url}"}, "/url", "expected http:// or https://"),
        ({"url": "{scheme}://example.com/"}, "/url", "expected http:// or https://"),
        ({"url": "https://{host}/"}, "/url", "expected http:// or https://"),
        ({"url": "https://example.{tld}/"}, "/url", "placeholders only in the path and the query"),
        ({"url": "https://example.com{rest}"}, "/url", "placeholders only in the path and the query"),
        ({"url": "https://example.com:{port}/"}, "/url", "placeholders only in the path and the query"),
        ({"url": "https://user:pass@example.com/"}, "/url", "no user name"),
        ({"url": "https://example.com/#x"}, "/url", "fragment"),
        ({"url": "https://example.com/{a}#x"}, "/url", "fragment"),
        ({"url": "https://example.com\\@evil.com/"}, "/url", "expected http:// or https://"),
        ({"url": "https://example.com/a b"}, "/url", "blank"),
        ({"url": "https://example.com:99999/"}, "/url", "a port from 1 to 65535"),
        ({"url": "https://example.com/{"}, "/url", "no placeholder"),
        ({"url": "https://e.com", "method": "get"}, "/method", 'method is "get"; expected one of GET'),
        ({"url": "https://e.com", "headers": []}, "/headers", "expected an object"),
        ({"url": "https://e.com", "headers": {"Host": "x"}}, "/headers/Host", "can't be set"),
        ({"url": "https://e.com", "headers": {"A B": "x"}}, "/headers/A B", "can't be set"),
        ({"url": "https://e.com", "headers": {"A": "x\ny"}}, "/headers/A", "a text of one line"),
        ({"url": "https://e.com", "headers": {"A": 1}}, "/headers/A", "a text of one line"),
        ({"url": "https://e.com", "headers": {"A": "{"}}, "/headers/A", "no placeholder"),
        ({"url": "https://e.com", "body": {"a": ["{"]}}, "/body/a/0", "no placeholder"),
        ({"url": "https://e.com", "expected_status": [99]}, "/expected_status", "statuses such as"),
        ({"url": "https://e.com", "timeout_seconds": 0}, "/timeout_seconds", "more than 0"),
        ({"url": "https://e.com", "timeout_seconds": "5"}, "/timeout_seconds", "more than 0"),
        ({"url": "https://e.com", "follow_redirects": 1}, "/follow_redirects", "true or false"),
        ({"url": "https://e.com", "verify": False}, "/verify", "'verify' is unknown"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_place(
    configuration: dict[str, Any], pointer: str, said: str
) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        executors.get("http").check(configuration)
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert said in refused.value.errors[0].detail
