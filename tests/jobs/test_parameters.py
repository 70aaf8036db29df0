"""Which parameters a run may have, and what is said about those it may not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import parameters
from jobs.faults import Fault
from jobs.parameters import InvalidParameters, InvalidSchema

PASSWORD = {"type": "string", "format": "password", "minLength": 8}


def faults(schema: dict[str, Any], given: Any) -> list[tuple[str, str, str]]:
    return [(fault.pointer, fault.code, fault.detail) for fault in parameters.faults(schema, given)]


def fault(inner: dict[str, Any], value: Any) -> Fault:
    """The one fault of the parameter x."""
    found = parameters.faults({"properties": {"x": inner}}, {"x": value})
    assert len(found) == 1, found
    return found[0]


# Merging


def test_later_layers_win_and_whole_values_are_replaced() -> None:
    defaults = {"city": "Indy", "filter": {"min": 1, "max": 2}, "kept": True}
    merged = parameters.merge(defaults, None, {"filter": {"min": 5}}, {}, {"city": None})
    assert merged == {"city": None, "filter": {"min": 5}, "kept": True}
    assert defaults["city"] == "Indy"


# Validating


def test_what_fits_raises_nothing() -> None:
    schema = {"properties": {"city": {"type": "string"}, "page": {"type": "integer"}}, "required": ["city"]}
    parameters.validate(schema, {"city": "Indy", "page": 3})


def test_everything_wrong_is_said_at_once_by_field_value_and_expectation() -> None:
    schema = {
        "properties": {
            "page": {"type": "integer", "minimum": 1},
            "city": {"type": "string"},
            "kinds": {"type": "array", "items": {"enum": ["sold", "new"]}},
        },
        "required": ["city"],
    }
    assert sorted(faults(schema, {"page": 0, "kinds": ["sold", "old"], "citty": "Indy"})) == [
        ("/citty", "unknown", "'citty' is unknown; did you mean 'city'?"),
        ("/city", "required", "'city' is missing; expected a text."),
        ("/kinds/1", "enum", '\'kinds[1]\' is "old"; expected one of "sold", "new".'),
        ("/page", "minimum", "'page' is 0; expected a whole number of at least 1."),
    ]


@pytest.mark.parametrize(
    ("inner", "value", "code", "detail"),
    [
        ({"type": "integer"}, "5", "type", "'x' is \"5\"; expected a whole number."),
        ({"type": "integer"}, 1.5, "type", "'x' is 1.5; expected a whole number."),
        ({"type": ["integer", "null"]}, "", "type", "'x' is \"\"; expected a whole number or null."),
        ({"type": "boolean"}, 1, "type", "'x' is 1; expected true or false."),
        ({"type": "number", "minimum": 0, "maximum": 1}, 2, "maximum", "'x' is 2; expected a number from 0 to 1."),
        ({"exclusiveMinimum": 0}, 0, "exclusive_minimum", "'x' is 0; expected a number more than 0."),
        ({"exclusiveMaximum": 0}, 0, "exclusive_maximum", "'x' is 0; expected a number less than 0."),
        ({"type": "integer", "multipleOf": 5}, 7, "multiple_of", "expected a whole number divisible by 5."),
        ({"type": "string", "minLength": 1}, "", "min_length", "expected a text of at least 1 character."),
        ({"maxLength": 2}, "abc", "max_length", "'x' is \"abc\"; expected a text of at most 2 characters."),
        ({"type": "string", "pattern": "^a+$"}, "b", "pattern", "'x' is \"b\"; expected a text matching ^a+$."),
        ({"type": "string", "examples": ["09:00"]}, 9, "type", "'x' is 9; expected a text such as \"09:00\"."),
        ({"format": "date"}, "2024-02-30", "format", "'x' is \"2024-02-30\"; expected a date such as 2024-01-31."),
        ({"format": "email"}, "ada", "format", "'x' is \"ada\"; expected an e-mail address."),
        ({"format": "date-time"}, "2024-01-31T09:30:00", "format", "a date and time with its zone"),
        ({"format": "uri"}, "example.com", "format", "an absolute URL"),
        ({"const": 3}, 4, "const", "'x' is 4; expected 3."),
        ({"minItems": 1}, [], "min_items", "'x' is []; expected a list of at least 1 item."),
        ({"maxItems": 1}, [1, 2], "max_items", "'x' is [1, 2]; expected a list of at most 1 item."),
        ({"type": "array", "uniqueItems": True}, [1, 1], "unique_items", "expected a list without repeats."),
        ({"type": "object", "minProperties": 2}, {}, "min_properties", "expected an object of at least 2 keys."),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "a", "any_of", "expected a whole number or null."),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1, "one_of", "a whole number or a number."),
        ({"not": {"const": 1}}, 1, "not", "'x' is 1; expected a value its schema allows."),
        (False, 1, "false_schema", "'x' is 1; expected no value here."),
        ({"propertyNames": {"pattern": "^[a-z]$"}}, {"AB": 1}, "name", "key its schema refuses; expected a text"),
    ],
)  # fmt: skip
def test_each_keyword_has_a_sentence(inner: Any, value: Any, code: str, detail: str) -> None:
    found = fault(inner, value)
    assert (found.pointer, found.code) == ("/x", code)
    assert detail in found.detail


def test_a_long_value_is_shortened_and_a_long_choice_too() -> None:
    assert len(fault({"type": "integer"}, "x" * 1000).detail) < 120
    detail = fault({"enum": list(range(100))}, 100).detail
    assert "11, … (100 in all)" in detail


def test_nested_places_have_readable_names_and_exact_pointers() -> None:
    inner = {"properties": {"a/b": {"items": {"properties": {"~": {"type": "integer"}}}}}}
    found = fault(inner, {"a/b": [{"~": "no"}]})
    assert found.pointer == "/x/a~1b/0/~0"
    assert found.detail.startswith("'x.a/b[0].~' is")


def test_a_missing_or_unknown_key_deep_inside_has_its_place() -> None:
    inner = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
    schema = {"properties": {"x": inner}}
    assert sorted(place for place, _, _ in faults(schema, {"x": {"b": 1}})) == ["/x/a", "/x/b"]


# Keys nobody declared


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "'extra' is unknown; expected no parameters."),
        ({"properties": {"a": {}, "b": {}}}, "'extra' is unknown; expected only 'a', 'b'."),
        ({"additionalProperties": False}, "'extra' is unknown; expected no parameters."),
        ({"patternProperties": {"^x-": {}}}, "'extra' is unknown; expected no parameters."),
    ],
)
def test_an_unknown_key_is_refused(schema: dict[str, Any], expected: str) -> None:
    assert faults(schema, {"extra": 1}) == [("/extra", "unknown", expected)]


@pytest.mark.parametrize(
    "schema",
    [
        {"additionalProperties": True},
        {"additionalProperties": {"type": "integer"}},
        {"patternProperties": {"^ex": {}}},
        {"allOf": [{"properties": {"extra": {}}}]},
        {"$ref": "#/$defs/more", "$defs": {"more": {"properties": {"extra": {}}}}},
        {"unevaluatedProperties": True},
    ],
)
def test_a_key_that_the_schema_knows_in_any_way_is_accepted(schema: dict[str, Any]) -> None:
    assert faults(schema, {"extra": 1}) == []


def test_a_wrong_value_beside_a_composition_is_not_called_unknown() -> None:
    schema = {"allOf": [{"properties": {"a": {"type": "integer"}}}]}
    assert [code for _, code, _ in faults(schema, {"a": "x"})] == ["type"]


# Values that no run can keep


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ({"x": float("nan")}, "/x", "number"),
        ({"x": [float("inf")]}, "/x/0", "number"),
        ({"x": "a\0b"}, "/x", "text"),
        ({"x": {"y": "\ud800"}}, "/x/y", "text"),
        ({"x": {"a\0": 1}}, "/x", "text"),
        ("text", "", "type"),
        ([1], "", "type"),
        (None, "", "type"),
    ],
)
def test_what_is_no_json_object_is_refused(given: Any, pointer: str, code: str) -> None:
    found = parameters.faults({"additionalProperties": True}, given)
    assert [(fault.pointer, fault.code) for fault in found] == [(pointer, code)]


def test_a_bottomless_value_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"a": deep}
    assert [code for _, code, _ in faults({"additionalProperties": True}, deep)] == ["depth"]


def test_big_whole_numbers_stay_exact() -> None:
    schema = {"properties": {"x": {"type": "integer", "maximum": 10**30}}}
    assert faults(schema, {"x": 10**30}) == []
    assert faults(schema, {"x": 10**30 + 1})[0][2].startswith(f"'x' is {10**30 + 1}; expected")
    assert faults(schema, {"x": 10**4299})[0][1] == "maximum"
    assert (
        faults(schema, {"x": 10**5000})[0][2] == "'x' is a number of more than 4300 digits; expected fewer."
    )


def test_a_pattern_that_backtracks_for_ever_ends() -> None:
    schema = {"properties": {"x": {"type": "string", "pattern": "^(?=a)(a|aa)+$(?<!b)"}}}
    assert faults(schema, {"x": "a" * 5000 + "b"})


@given(st.dictionaries(st.text(max_size=5), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
), max_size=4))  # fmt: skip
def test_any_json_is_judged_and_every_pointer_is_a_pointer(given: dict[str, Any]) -> None:
    schema = {"properties": {"": {"type": "integer"}, "a": {"items": {"type": "string"}}}, "required": ["b"]}
    for found in parameters.faults(schema, given):
        assert found.pointer == "" or found.pointer.startswith("/")
        assert found.detail.endswith((".", "?"))


def test_validate_raises_all_faults() -> None:
    with pytest.raises(InvalidParameters, match=r"'a' is missing.*'b' is missing") as refused:
        parameters.validate({"properties": {"a": {}, "b": {}}, "required": ["a", "b"]}, {})
    assert len(refused.value.errors) == 2


# Secrets


@pytest.mark.parametrize("inner", [PASSWORD, {"type": "string", "writeOnly": True, "minLength": 8}])
def test_a_secret_is_never_shown(inner: dict[str, Any]) -> None:
    assert fault(inner, "short").detail == "'x' is ••••••; expected a text of at least 8 characters."


def test_what_lies_inside_a_secret_is_secret() -> None:
    inner = {"writeOnly": True, "properties": {"pin": {"type": "integer"}}}
    assert "1234" not in fault(inner, {"pin": "1234"}).detail


def test_secrets_are_masked_wherever_the_schema_says_so() -> None:
    schema = {
        "$defs": {"key": {"format": "password"}},
        "properties": {
            "a": PASSWORD,
            "b": {"$ref": "#/$defs/key"},
            "c": {"type": "array", "items": {"properties": {"pin": {"writeOnly": True}}}},
            "d": {"anyOf": [{"type": "null"}, {"writeOnly": True}]},
            "e": {"type": "string"},
            "f": PASSWORD,
        },
        "patternProperties": {"^secret_": {"writeOnly": True}},
        "additionalProperties": True,
    }
    given = {
        "a": "1",
        "b": "2",
        "c": [{"pin": 3, "who": "Ada"}],
        "d": {"x": 4},
        "e": "5",
        "f": None,
        "secret_g": 6,
    }
    mask = "••••••"
    assert parameters.mask(schema, given) == {
        "a": mask, "b": mask, "c": [{"pin": mask, "who": "Ada"}], "d": mask, "e": "5", "f": None, "secret_g": mask,
    }  # fmt: skip
    assert parameters.secrets(schema, given) == ["1", "2", "3", '{"x": 4}', "6"]


def test_without_secrets_nothing_is_masked() -> None:
    given = {"x": {"y": 1}}
    assert parameters.mask({"properties": {"x": {}}}, given) == given
    assert parameters.secrets({"properties": {"x": {}}}, given) == []


# Schemas


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"properties": {"$ref": {"type": "string"}, "enum": {"const": {"$ref": "http://x/"}}}},
        {"properties": {"x": {"default": {"$ref": "http://x/"}}}},
        {"properties": {"x": {"$ref": "#/$defs/y"}}, "$defs": {"y": {}}},
        {"properties": {"x": {"format": "of-our-own"}}},
        {"properties": {"tree": {"$ref": "#"}}},
    ],
)
def test_a_sound_schema_is_accepted(schema: dict[str, Any]) -> None:
    parameters.check_schema(schema)


def _deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return {"properties": {"x": schema}}


@pytest.mark.parametrize(
    ("schema", "pointer", "said"),
    [
        ([], "", "The schema is []; expected an object."),
        (None, "", "The schema is null"),
        (True, "", "The schema is true"),
        ({"type": "string"}, "/type", 'parameters are an object, so expected "object"'),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "draft/2020-12/schema"),
        ({"properties": {"x": {"type": "text"}}}, "/properties/x/type", '"text" is not a value that JSON'),
        ({"properties": {"x": {"minimum": "1"}}}, "/properties/x/minimum", '"1" is not of type "number"'),
        ({"properties": {"x": {"pattern": "("}}}, "/properties/x/pattern", '"(" is not a "regex"'),
        ({"required": "x"}, "/required", 'is not of type "array"'),
        ({"$ref": "https://example.com/schema"}, "/$ref", "expected a place in this schema"),
        ({"properties": {"x": {"$ref": "file:///etc/passwd"}}}, "/properties/x/$ref", "a place in this schema"),
        ({"allOf": [{"$dynamicRef": "other.json"}]}, "/allOf/0/$dynamicRef", "expected a place in this schema"),
        ({"$ref": "#/$defs/nowhere"}, "", "does not exist"),
        ({"x": float("nan")}, "", "not JSON"),
        ({"x": {1, 2}}, "", "not JSON"),
        ({"x": "\ud800"}, "", "not JSON"),
        (_deep(60), "", "levels deep; expected at most 40"),
        ({"description": "x" * 70_000}, "", "bytes; expected at most 65536"),
    ],
)  # fmt: skip
def test_an_unusable_schema_is_refused_with_its_place(schema: Any, pointer: str, said: str) -> None:
    with pytest.raises(InvalidSchema) as refused:
        parameters.check_schema(schema)
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert said in refused.value.errors[0].detail


def test_a_schema_is_compiled_once() -> None:
    from jobs import schemas

    first = schemas.validator({"properties": {"compiled": {}}, "required": []})
    assert schemas.validator({"required": [], "properties": {"compiled": {}}}) is first
