"""How a Python function is declared a job, and what its signature says of its parameters."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, dataclass, field
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict
from uuid import UUID

import pytest
from django.apps import AppConfig, apps
from django.core.exceptions import ValidationError

from jobs import parameters, registry
from jobs.executors import JobContext
from jobs.registry import InvalidJob, JobDefinition, Secret, job
from jobs.retry import RetryPolicy


@pytest.fixture(autouse=True)
def no_other_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_definitions", {})
    monkeypatch.setattr(registry, "_import_errors", {})


def declared(function: Callable[..., Any], slug: str = "sample", **options: Any) -> JobDefinition:
    job(slug, **options)(function)
    definition = registry.get(slug)
    assert definition is not None
    return definition


# Declaring


def test_a_declared_function_stays_the_function_it_was() -> None:
    def add(left: int, right: int) -> int:
        return left + right

    assert job("add")(add) is add
    assert add(1, 2) == 3


def test_what_is_not_said_has_a_default() -> None:
    def sold_today(city: str) -> None:
        """Collects what was sold.

        Page by page.
        """

    definition = declared(sold_today, "sold-today")
    assert (definition.start_within_seconds, definition.finish_within_seconds) == (None, None)
    assert definition.name == "Sold today"
    assert definition.description == "Collects what was sold.\n\nPage by page."
    assert (definition.retry, definition.timeout_seconds) == (RetryPolicy(), 3600)
    assert (definition.priority, definition.on_lost, definition.isolated) == (None, "retry", False)
    assert definition.place.startswith("tests.jobs.test_registry.test_what_is_not_said")
    assert ", line " in definition.place


def test_everything_can_be_said() -> None:
    policy = RetryPolicy(max_attempts=5)
    definition = declared(
        lambda: None, name="Nightly", description="At night.", retry=policy, timeout_seconds=60, priority="immediate",
        max_concurrent_runs=1, dedup_key="{city}", on_lost="fail", isolated=True, memory_limit_mb=256,
        retain_for_seconds=86400, tags=("a", "b"),
    )  # fmt: skip
    assert (definition.name, definition.description, definition.retry) == ("Nightly", "At night.", policy)
    assert (definition.priority, definition.max_concurrent_runs, definition.dedup_key) == (1, 1, "{city}")
    assert (definition.on_lost, definition.isolated, definition.memory_limit_mb) == ("fail", True, 256)
    assert (definition.retain_for_seconds, definition.tags) == (86400, ("a", "b"))


def test_a_definition_cannot_be_changed() -> None:
    definition = declared(lambda: None)
    with pytest.raises(FrozenInstanceError):
        definition.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        registry.definitions()["other"] = definition  # type: ignore[index]


def test_an_unknown_slug_is_none() -> None:
    assert registry.get("nowhere") is None


def test_two_jobs_with_one_slug_are_named_with_both_places() -> None:
    def first() -> None: ...

    def second() -> None: ...

    declared(first)
    with pytest.raises(
        InvalidJob, match=r"Two jobs are called 'sample': .*first, line \d+ and .*second, line"
    ):
        declared(second)
    assert registry.definitions()["sample"].function is first


def test_the_same_function_imported_again_replaces_itself() -> None:
    def make() -> Callable[[], None]:
        def work() -> None: ...

        return work

    declared(make())
    again = make()
    assert declared(again).function is again


@pytest.mark.parametrize(
    "slug",
    ["", "A", "a b", "a--b", "-a", "a-", "a_b", "ä", "a\n", "x" * 81, "run", "trigger", "available-upstream"],
)
def test_a_slug_that_no_address_can_have_is_refused(slug: str) -> None:
    with pytest.raises(InvalidJob, match=r"is (not a slug|reserved); expected"):
        job(slug)(lambda: None)
    with pytest.raises(ValidationError):
        registry.validate_slug(slug)


@pytest.mark.parametrize("slug", ["a", "0", "a-b-c", "x" * 80, "runs", "re-run"])
def test_any_other_slug_is_accepted(slug: str) -> None:
    registry.validate_slug(slug)
    job(slug)(lambda: None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds is 0; expected a whole number from 1"),
        ({"timeout_seconds": None}, "timeout_seconds is None; expected a whole number"),
        ({"timeout_seconds": 1.5}, "timeout_seconds is 1.5"),
        ({"max_concurrent_runs": 0}, "max_concurrent_runs is 0"),
        ({"retain_for_seconds": -1}, "retain_for_seconds is -1; expected a whole number from 0"),
        ({"on_lost": "ignore"}, "on_lost is 'ignore'; expected 'retry' or 'fail'"),
        ({"memory_limit_mb": 100}, "without isolated=True"),
        ({"dedup_key": ""}, "dedup_key is empty"),
        ({"dedup_mode": "first"}, "dedup_mode is 'first'; expected one of return_existing"),
        ({"dedup_key": "{a b}"}, "dedup_key '{a b}' has a '{'"),
        ({"tags": "nightly"}, "tags is 'nightly'; expected texts"),
        ({"priority": "urgent"}, "'urgent' is not a priority"),
        ({"retries": 3}, "unexpected keyword argument 'retries'"),
        ({"parameters": {"type": "string"}}, "the schema is invalid"),
        (
            {"parameters": {"properties": {"city": {}}}},
            "the schema has 'city', which the function does not take",
        ),
    ],
)
def test_a_policy_that_cannot_be_is_refused_with_the_place(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidJob, match=r"Job 'sample' \(tests.jobs.test_registry") as refused:
        declared(lambda: None, **options)
    assert said in str(refused.value)
    assert registry.get("sample") is None


# Signatures


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Range(TypedDict):
    least: int
    most: NotRequired[int]


@dataclass
class Place:
    city: str
    state: str = "IN"
    tags: list[str] = field(default_factory=list)


Positive = Annotated[int, {"minimum": 1}]


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (Any, {}),
        (dict, {"type": "object"}),
        (list, {"type": "array"}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (list[Positive], {"type": "array", "items": {"type": "integer", "minimum": 1}}),
        (datetime, {"type": "string", "format": "date-time"}),
        (date, {"type": "string", "format": "date"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a", 1, None], {"type": ["string", "integer", "null"], "enum": ["a", 1, None]}),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (int | None, {"type": ["integer", "null"]}),
        (Optional[int], {"type": ["integer", "null"]}),  # noqa: UP045 - this spelling, too
        (int | str, {"type": ["integer", "string"]}),
        (Annotated[int | None, {"minimum": 1}], {"type": ["integer", "null"], "minimum": 1}),
        (Secret | None, {"type": ["string", "null"], "format": "password", "writeOnly": True}),
        (Colour | None, {"anyOf": [{"type": "string", "enum": ["red", "blue"]}, {"type": "null"}]}),
        (list[int] | int, {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "integer"}]}),
        (Annotated[float, {"minimum": 0, "title": "Seconds"}, "How long."],
         {"type": "number", "minimum": 0, "title": "Seconds", "description": "How long."}),
        (Secret, {"type": "string", "format": "password", "writeOnly": True}),
        (Range, {"type": "object", "properties": {"least": {"type": "integer"}, "most": {"type": "integer"}},
                 "required": ["least"], "additionalProperties": False}),
        (Place, {"type": "object", "properties": {"city": {"type": "string"}, "state": {"type": "string"},
                 "tags": {"type": "array", "items": {"type": "string"}}}, "required": ["city"],
                 "additionalProperties": False}),
    ],
)  # fmt: skip
def test_an_annotation_becomes_a_schema(annotation: Any, schema: dict[str, Any]) -> None:
    def work(x): ...  # type: ignore[no-untyped-def]

    work.__annotations__["x"] = annotation
    definition = declared(work)
    assert definition.schema["properties"]["x"] == schema
    assert definition.schema["required"] == ["x"]
    parameters.check_schema(definition.schema)


@pytest.mark.parametrize(
    ("annotation", "given", "value"),
    [
        (int, 3.0, 3),
        (float, 3, 3.0),
        (datetime, "2024-01-31T09:30:00+01:00", datetime.fromisoformat("2024-01-31T09:30:00+01:00")),
        (date | None, "2024-01-31", date(2024, 1, 31)),
        (date | int, 5, 5),
        (UUID, "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        (Colour, "red", Colour.RED),
        (list[Colour], ["red", "blue"], [Colour.RED, Colour.BLUE]),
        (dict[str, date], {"a": "2024-01-31"}, {"a": date(2024, 1, 31)}),
        (Range, {"least": 1.0}, {"least": 1}),
        (Place, {"city": "Indy"}, Place(city="Indy")),
        (Place | None, {"city": "Indy", "tags": ["a"]}, Place(city="Indy", tags=["a"])),
        (Annotated[date, {"title": "Day"}], "2024-01-31", date(2024, 1, 31)),
        (Any, {"a": 1}, {"a": 1}),
    ],
)
def test_a_value_arrives_as_its_annotation_promises(annotation: Any, given: Any, value: Any) -> None:
    def work(x): ...  # type: ignore[no-untyped-def]

    work.__annotations__["x"] = annotation
    definition = declared(work)
    parameters.validate(definition.schema, {"x": given})
    arrived = definition.arguments({"x": given})["x"]
    assert arrived == value
    assert type(arrived) is type(value)


def test_defaults_are_json_and_stand_in_the_schema() -> None:
    def work(city: str, day: date = date(2024, 1, 31), colour: Colour = Colour.RED, place: Place = Place("Indy")) -> None: ...  # noqa: B008, E501  # fmt: skip

    definition = declared(work)
    place = {"city": "Indy", "state": "IN", "tags": []}
    assert definition.defaults == {"day": "2024-01-31", "colour": "red", "place": place}
    assert definition.schema["required"] == ["city"]
    assert definition.schema["properties"]["colour"]["default"] == "red"
    assert definition.arguments(definition.defaults)["place"] == Place("Indy")


def test_without_an_annotation_the_default_tells_the_type() -> None:
    def work(a, b=1, c="x", d=None):  # type: ignore[no-untyped-def]
        ...

    properties = declared(work).schema["properties"]
    assert properties["a"] == {}
    assert properties["b"] == {"type": "integer", "default": 1}
    assert properties["c"] == {"type": "string", "default": "x"}
    assert properties["d"] == {"default": None}


def test_the_context_is_no_parameter() -> None:
    def by_name(context, x: int) -> None: ...  # type: ignore[no-untyped-def]

    def by_annotation(ctx: "JobContext", x: int) -> None: ...

    def second(x: int, context: str) -> None: ...

    assert list(declared(by_name, "a").schema["properties"]) == ["x"]
    assert list(declared(by_annotation, "b").schema["properties"]) == ["x"]
    assert list(declared(second, "c").schema["properties"]) == ["x", "context"]


def test_keyword_arguments_accept_any_parameter() -> None:
    def work(x: int, **more: Any) -> None: ...

    definition = declared(work)
    assert parameters.faults(definition.schema, {"x": 1, "y": 2}) == []


def test_a_given_schema_replaces_the_one_of_the_signature() -> None:
    def work(city: str = "Indy", page: int = 1) -> None: ...

    schema = {"properties": {"city": {"enum": ["Indy", "Gary"], "default": "Gary"}}}
    definition = declared(work, parameters=schema)
    assert definition.schema == schema
    assert definition.defaults == {"city": "Gary"}


def _positional(x: int, /) -> None: ...


def _several(*x: int) -> None: ...


async def _later() -> None: ...


def _unsayable(x: set[int]) -> None: ...


def _undefined(x: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821


def _bad_default(x: int = "one") -> None: ...  # type: ignore[assignment]


def _bad_extra(x: Annotated[int, {"type": "whole"}]) -> None: ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_positional, "the parameter 'x' is positional-only"),
        (_several, "the parameter 'x' takes any number of values"),
        (_later, "the function is async; let an ordinary function call it with asyncio.run()"),
        (
            _unsayable,
            r"the parameter 'x' is annotated set\[int\], which JSON Schema can't say; expected str, int",
        ),
        (_undefined, "the annotation 'Nowhere' is not defined"),
        (_bad_default, "a default does not fit: 'x' is \"one\"; expected a whole number"),
        (_bad_extra, "the schema is invalid: /properties/x/type"),
    ],
)
def test_a_function_that_cannot_be_a_job_is_refused_with_its_place(
    function: Callable[..., Any], said: str
) -> None:
    with pytest.raises(InvalidJob, match=said) as refused:
        declared(function)
    assert function.__qualname__ in str(refused.value)


def test_a_function_that_needs_more_than_its_schema_says_is_refused() -> None:
    def work(city: str) -> None: ...

    with pytest.raises(InvalidJob, match="the function needs 'city', which the schema does not require"):
        declared(work, parameters={"properties": {"city": {}}})


# Discovering


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """An installed app whose jobs.py each test writes."""
    folder = tmp_path / "shop_for_tests"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("shop_for_tests")
    config = AppConfig("shop_for_tests", module)
    monkeypatch.setattr(apps, "get_app_configs", lambda: [config])

    def write(source: str) -> None:
        (folder / "jobs.py").write_text(source)
        sys.modules.pop("shop_for_tests.jobs", None)

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    for name in ("shop_for_tests.jobs", "shop_for_tests"):
        sys.modules.pop(name, None)


ONE_JOB = "from jobs.registry import job\n@job('shop-open')\ndef shop_open(): ...\n"


def test_jobs_of_installed_apps_are_found(app: Callable[[str], None]) -> None:
    app(ONE_JOB)
    registry.autodiscover()
    registry.autodiscover()
    assert list(registry.definitions()) == ["shop-open"]
    assert registry.import_errors() == {}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("1/0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("@job('shop-open')\ndef other(): ...", "InvalidJob: Two jobs are called 'shop-open'"),
    ],
)
def test_a_module_that_cannot_be_imported_leaves_the_site_up(
    app: Callable[[str], None], fault: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    declared(lambda: None, "of-another-app")
    app(ONE_JOB + fault)
    registry.autodiscover()
    assert list(registry.definitions()) == ["of-another-app"]
    assert registry.import_errors()["shop_for_tests.jobs"].startswith(error)
    app(ONE_JOB)
    registry.autodiscover()
    assert "shop-open" in registry.definitions()
    assert registry.import_errors() == {}
