"""triggers.sources.sigv4, with the examples that AWS publishes."""

from datetime import UTC, datetime

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


def test_the_suite_s_get_vanilla() -> None:
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    assert SUITE.authorization(path="/", query="", headers=headers, at=IN_2015) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


def test_the_suite_s_query_in_another_order() -> None:
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    query = sigv4.canonical({"Param2": "value2", "Param1": "value1"})
    found = SUITE.authorization(path="/", query=query, headers=headers, at=IN_2015)
    assert signature(found) == "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"


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
