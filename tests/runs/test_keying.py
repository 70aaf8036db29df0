"""runs.keying: what the keys of runs are made of, and what is not in them."""

import pytest

from jobs.models import Job
from runs import keying
from tests.factories import make_job, make_run

SECRET = {
    "properties": {
        "token": {"type": "string", "writeOnly": True},
        "account": {"type": "object", "properties": {"password": {"type": "string", "format": "password"}}},
    },
    "additionalProperties": True,
}


def job(**fields: object) -> Job:
    return make_job(schema={"additionalProperties": True}, **fields)


@pytest.mark.django_db
def test_long_values_that_begin_alike_are_different_keys() -> None:
    both = job(dedup_key_template="{url}", concurrency_key_template="{url}")
    first, second = [make_run(both, parameters={"url": "x" * 300 + end}) for end in ("a", "b")]
    assert first.pk != second.pk, "the second launch was taken for a repetition of the first"
    assert first.dedup_key != second.dedup_key
    assert first.concurrency_key != second.concurrency_key
    assert len(first.dedup_key or "") == keying.KEY_LENGTH
    assert make_run(both, parameters={"url": "x" * 300 + "a"}).pk == first.pk


@pytest.mark.parametrize("length", [keying.KEY_LENGTH - 1, keying.KEY_LENGTH])
def test_a_value_that_fits_is_the_key_as_it_is(length: int) -> None:
    text = "ü" * length
    assert keying.key_of("{url}", {"url": text}, schema={}) == text


@pytest.mark.parametrize("template", ["{token}", "{account}", "{city}/{token}"])
def test_a_secret_makes_a_key_without_being_in_it(template: str) -> None:
    def key(token: str) -> str:
        given = {"token": token, "account": {"id": 1, "password": token}, "city": "Rome"}
        made = keying.key_of(template, given, schema=SECRET)
        assert made is not None
        return made

    assert "hunter2" not in key("hunter2")
    assert key("hunter2") == key("hunter2")
    assert key("hunter2") != key("hunter3")
    assert key("hunter2").startswith("Rome/") == (template == "{city}/{token}")


def test_parameters_that_do_not_fill_the_template_make_no_key() -> None:
    assert keying.key_of("{city}", {}, schema=SECRET) is None
    assert keying.key_of("{token}", {"token": None}, schema=SECRET) is None
    assert keying.key_of("{city}", {"city": ""}, schema={}) is None
    assert keying.key_of(None, {"city": "Rome"}, schema={}) is None
