"""The form that a parameter schema becomes, and the parameters that come back from it."""

from typing import Any

import pytest
from django.http import QueryDict

from jobs import form
from jobs.form import FormField
from jobs.parameters import InvalidParameters

SCRAPER = {
    "type": "object",
    "properties": {
        "locations": {"type": "array", "items": {"type": "string"}, "minItems": 1, "title": "Places"},
        "listing_type": {"enum": ["sold", "for_sale"], "default": "sold", "description": "What to look for."},
        "pages": {"type": "integer", "minimum": 1, "maximum": 50},
        "ratio": {"type": "number"},
        "dry_run": {"type": "boolean", "default": False},
        "verbose": {"type": "boolean"},
        "token": {"type": "string", "format": "password"},
        "note": {"type": ["string", "null"], "maxLength": 1000},
        "filter": {"type": "object"},
        "kinds": {"type": "array", "items": {"enum": ["house", "flat"]}},
        "since": {"type": "string", "format": "date"},
    },
    "required": ["locations"],
}


def field(inner: dict[str, Any], value: Any = None, *, required: bool = False) -> FormField:
    schema = {"properties": {"x": inner}, "required": ["x"] if required else []}
    (made,) = form.fields(schema, {} if value is None else {"x": value})
    return made


def sent(schema: dict[str, Any], query: str, **more: Any) -> dict[str, Any]:
    return form.from_form(schema, QueryDict(query), **more)


def faults(schema: dict[str, Any], query: str) -> dict[str, str]:
    with pytest.raises(InvalidParameters) as refused:
        sent(schema, query)
    return {error.pointer: error.detail for error in refused.value.errors}


# Fields


def test_each_property_has_a_field_in_the_schemas_order() -> None:
    made = form.fields(SCRAPER, {"pages": 3}, prefix="parameter-")
    assert [f.parameter for f in made] == list(SCRAPER["properties"])
    assert [f.kind for f in made] == [
        "lines", "select", "integer", "number", "checkbox", "select", "password", "textarea", "json",
        "multiselect", "date",
    ]  # fmt: skip
    assert [f.name for f in made if f.required] == ["parameter-locations"]


def test_a_field_carries_what_a_template_needs() -> None:
    pages = next(f for f in form.fields(SCRAPER, {"pages": 3}) if f.parameter == "pages")
    assert (pages.label, pages.value, pages.minimum, pages.maximum, pages.step) == ("Pages", "3", 1, 50, "1")
    assert pages.expected == "a whole number from 1 to 50"
    kind = next(f for f in form.fields(SCRAPER, {}) if f.parameter == "listing_type")
    assert (kind.label, kind.help, kind.value) == ("Listing type", "What to look for.", "sold")
    assert kind.choices == (("", "–"), ("sold", "sold"), ("for_sale", "for_sale"))


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "format": "textarea"}, "textarea"),
        ({"type": "string", "format": "email"}, "email"),
        ({"type": "string", "format": "uri"}, "url"),
        ({"type": "string", "format": "date-time"}, "text"),
        ({"type": ["integer", "null"]}, "integer"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "json"),
        ({"type": ["integer", "string"]}, "json"),
        ({"allOf": [{"type": "number"}]}, "number"),
        ({"type": "array"}, "json"),
        ({"type": "array", "items": True}, "json"),
        ({"type": "array", "items": {"type": "object"}}, "json"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "json"),
        ({"type": "boolean"}, "select"),
        ({"type": "boolean", "default": True}, "checkbox"),
        ({"type": ["boolean", "null"], "default": True}, "select"),
        ({}, "json"),
        (True, "json"),
    ],
)
def test_the_kind_of_field_follows_the_schema(inner: Any, kind: str) -> None:
    assert field(inner).kind == kind


def test_a_reference_is_followed() -> None:
    schema = {
        "$defs": {"page": {"type": "integer", "minimum": 1}},
        "properties": {"x": {"$ref": "#/$defs/page"}},
    }
    (made,) = form.fields(schema, {})
    assert (made.kind, made.minimum) == ("integer", 1)


def test_values_are_shown_as_they_will_be_sent() -> None:
    assert field({"type": "array", "items": {"type": "integer"}}, [1, 2]).value == "1\n2"
    assert field({"type": "object"}, {"ä": [1]}).value == '{\n  "ä": [\n    1\n  ]\n}'
    assert field({"type": "boolean", "default": False}, True).value == "true"
    assert field({"enum": [1, "1", None]}, 1).choices == (("", "–"), ("1", "1"), ("1", "1"))
    assert field({"type": "array", "items": {"enum": ["a", "b"]}}, ["b"]).values == ("b",)


@pytest.mark.parametrize(
    "inner", [{"type": "string", "format": "password"}, {"type": "string", "writeOnly": True}]
)
def test_a_secret_is_never_filled_in(inner: dict[str, Any]) -> None:
    assert field({**inner, "default": "hunter2"}, "hunter2").value == ""


def test_a_refused_form_is_shown_as_it_came_but_for_secrets() -> None:
    typed = QueryDict("pages=many&token=hunter2&filter={oops&kinds=house&kinds=tent")
    shown = {f.parameter: f for f in form.fields(SCRAPER, {"pages": 3}, typed=typed)}
    assert (shown["pages"].value, shown["filter"].value, shown["token"].value) == ("many", "{oops", "")
    assert shown["kinds"].values == ("house", "tent")


# Reading


def test_texts_become_what_the_schema_wants() -> None:
    query = (
        "locations=Indianapolis, IN%0D%0A%0D%0A Gary %0D%0A&listing_type=for_sale&pages= 7 &ratio=0.5&dry_run=on"
        '&verbose=false&token= s3cret &note=a%0D%0Ab&filter={"min": 1}&kinds=house&since=2024-01-31'
    )
    assert sent(SCRAPER, query) == {
        "locations": ["Indianapolis, IN", "Gary"],
        "listing_type": "for_sale",
        "pages": 7,
        "ratio": 0.5,
        "dry_run": True,
        "verbose": False,
        "token": " s3cret ",
        "note": "a\nb",
        "filter": {"min": 1},
        "kinds": ["house"],
        "since": "2024-01-31",
    }


def test_what_is_left_empty_is_left_out() -> None:
    assert sent(SCRAPER, "locations=Indy&pages=&ratio=&note=&filter=&verbose=&listing_type=") == {
        "locations": ["Indy"],
        "dry_run": False,
    }


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        ({"type": "string", "default": "x"}, ""),
        ({"type": ["string", "null"], "default": "x"}, None),
        ({"type": ["integer", "null"], "default": 1}, None),
        ({"type": "array", "items": {"type": "string"}, "default": ["x"]}, []),
        ({"type": "array", "items": {"enum": ["x"]}, "default": ["x"]}, []),
    ],
)
def test_an_emptied_field_with_a_default_says_so(inner: dict[str, Any], value: Any) -> None:
    assert sent({"properties": {"x": inner}}, "x=" if "enum" not in str(inner) else "") == {"x": value}


def test_an_emptied_number_keeps_its_default() -> None:
    assert sent({"properties": {"x": {"type": "integer", "default": 5}}}, "x=") == {}


@pytest.mark.parametrize(
    ("inner", "text", "said"),
    [
        ({"type": "integer"}, "1.5", "'x' is \"1.5\"; expected a whole number."),
        ({"type": "integer"}, "1_000", "expected a whole number"),
        ({"type": "integer"}, "٣", "expected a whole number"),
        ({"type": "integer"}, "9" * 5000, "expected a whole number"),
        ({"type": "integer", "minimum": 5}, "4", "'x' is 4; expected a whole number of at least 5."),
        ({"type": "number"}, "nan", "expected a number"),
        ({"type": "number"}, "1e999", "'x' is inf; expected a finite number."),
        ({"type": "object"}, "{oops", "'x' is \"{oops\"; expected JSON: an object."),
        ({"type": "object"}, "[1]", "'x' is [1]; expected an object."),
        ({"type": "object"}, "NaN", "expected JSON"),
        ({"type": "object"}, "[" * 100_000, "expected JSON"),
        ({"enum": ["a", 1]}, "b", "'x' is \"b\"; expected one of \"a\", 1."),
        ({"type": "array", "items": {"type": "integer"}}, "1\ntwo", "expected a list"),
        ({"type": "array", "items": {"enum": ["a"]}}, "b", "'x[0]' is \"b\"; expected \"a\"."),
        ({"type": "string", "format": "email"}, "ada", "expected an e-mail address"),
        ({"type": "string"}, "a\0b", "U+0000"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_its_field(inner: dict[str, Any], text: str, said: str) -> None:
    data = QueryDict(mutable=True)
    data["x"] = text
    with pytest.raises(InvalidParameters) as refused:
        form.from_form({"properties": {"x": inner}}, data)
    assert said in refused.value.errors[0].detail
    assert refused.value.errors[0].pointer.startswith("/x")


def test_a_choice_that_is_no_text_comes_back_as_it_was() -> None:
    schema = {"properties": {"x": {"enum": ["a", 1, True, None]}}}
    assert sent(schema, "x=1") == {"x": 1}
    assert sent(schema, "x=true") == {"x": True}


def test_everything_wrong_is_said_at_once() -> None:
    found = faults(SCRAPER, "pages=many&ratio=x&since=soon")
    assert sorted(found) == ["/locations", "/pages", "/ratio", "/since"]
    assert found["/locations"] == "'locations' is missing; expected a list of at least 1 item."


def test_what_the_job_supplies_is_not_missing() -> None:
    assert sent(SCRAPER, "pages=2", defaults={"locations": ["Indy"]}) == {"pages": 2, "dry_run": False}


def test_the_prefix_keeps_parameters_apart_from_other_fields() -> None:
    schema = {"properties": {"priority": {"type": "integer"}}}
    assert sent(schema, "priority=high&parameter-priority=3", prefix="parameter-") == {"priority": 3}


def test_a_secret_that_cannot_be_read_is_not_repeated() -> None:
    schema = {"properties": {"pin": {"type": "integer", "writeOnly": True}}}
    assert faults(schema, "pin=hunter2") == {"/pin": "'pin' is ••••••; expected a whole number."}
