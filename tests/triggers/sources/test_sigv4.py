"""triggers.sources.sigv4, with the examples that AWS publishes."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from triggers.sources import sigv4
from triggers.sources.sigv4 import Signer

SUITE = Signer(
    access_key="AKIDEXAMPLE",
    secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    region="us-east-1",
    service="service",
)
S3 = Signer(
    access_key="AKIAIOSFODNN7EXAMPLE",
    secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    region="us-east-1",
)
IN_2015, IN_2013 = datetime(2015, 8, 30, 12, 36, tzinfo=UTC), datetime(2013, 5, 24, tzinfo=UTC)
OF_S3 = {
    "host": "examplebucket.s3.amazonaws.com",
    "x-amz-content-sha256": sigv4.NO_BODY,
    "x-amz-date": "20130524T000000Z",
}


def signature(text: str) -> str:
    return text.rpartition("Signature=")[2]


# The GETs of AWS's "Signature Version 4 Test Suite" (aws-sig-v4-test-suite; its .authz files) that a client like
# ours can send: a path that is sent as it is signed, as S3 wants it, and a query in which no name is repeated.
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VECTORS = {
    "get-vanilla": (
        "/", {}, {},
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-unreserved": (
        f"/{UNRESERVED}", {}, {},
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    "get-vanilla-query-order-key-case": (
        "/", {"Param2": "value2", "Param1": "value1"}, {},
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-vanilla-query-unreserved": (
        "/", {UNRESERVED: UNRESERVED}, {},
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    "get-vanilla-utf8-query": (
        "/", {"\u1234": "bar"}, {},
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    "get-header-value-trim": (
        "/", {}, {"my-header1": " value1", "my-header2": ' "a   b   c"'},
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "get-header-value-order": (
        "/", {}, {"my-header1": "value4,value1,value3,value2"},
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    "get-vanilla-with-session-token": (
        "/", {},
        {"x-amz-security-token": "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"},
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "query", "more", "expected"), VECTORS.values(), ids=VECTORS)
def test_the_vectors_of_the_test_suite_are_signed_as_published(
    path: str, query: Mapping[str, str], more: Mapping[str, str], expected: str
) -> None:
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z", **more}
    assert SUITE.authorization(path=path, query=sigv4.canonical(query), headers=headers, at=IN_2015) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(sorted(headers))}, Signature={expected}"
    )


def test_the_manual_of_s3_lists_objects() -> None:
    query = sigv4.canonical({"prefix": "J", "max-keys": "2"})
    found = S3.authorization(path="/", query=query, headers=OF_S3, at=IN_2013)
    assert signature(found) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"


def test_the_manual_of_s3_reads_an_object_and_a_lifecycle() -> None:
    found = S3.authorization(path="/test.txt", query="", headers={**OF_S3, "range": "bytes=0-9"}, at=IN_2013)
    assert signature(found) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    found = S3.authorization(path="/", query=sigv4.canonical({"lifecycle": ""}), headers=OF_S3, at=IN_2013)
    assert signature(found) == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"


def test_a_query_is_written_as_it_is_signed() -> None:
    assert sigv4.canonical({"b": "a b/ü+~", "a": ""}) == "a=&b=a%20b%2F%C3%BC%2B~"


def test_a_secret_is_not_in_what_is_logged() -> None:
    assert "wJalr" not in repr(S3)
