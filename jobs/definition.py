"""JobDefinition: what the code says of a job, and what it may not say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from jobs import parameters as rules
from jobs.annotations import value_of
from jobs.executors.templating import BadTemplate, parse
from jobs.retry import RetryPolicy

_LEAST: Final = {
    "timeout_seconds": 1,
    "max_concurrent_runs": 1,
    "memory_limit_mb": 1,
    "retain_for_seconds": 0,
}


# As in jobs.models.DedupMode, which is not loaded before a site is.
_DEDUP_MODES = ("return_existing", "replace_queued", "keep_last")


class InvalidJob(ValueError):
    """A declaration that can't be a job; the message says where it stands and what was expected."""


class Policies(TypedDict, total=False):
    """How a job is carried out, as `@job` may say it; what each means stands at JobDefinition."""

    retry: RetryPolicy
    timeout_seconds: int
    priority: int | str | None
    max_concurrent_runs: int | None
    dedup_key: str | None
    dedup_mode: str
    on_lost: str
    isolated: bool
    memory_limit_mb: int | None
    retain_for_seconds: int | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobDefinition:
    """What the code says of a job. An operator may change the row that is made of it, never this.

    `place` is where it was declared ("demo.jobs.noop, line 12"). Durations are seconds. None means: no
    limit, for ever, or (priority) the default of the trigger kind. `on_lost` says what becomes of a run
    whose worker vanished: "retry" or "fail". `isolated` gives each attempt a process of its own, with at
    most `memory_limit_mb` of memory. `dedup_key` is a template such as "{customer}", and `dedup_mode` says
    what becomes of a launch that meets an open run of its key.
    """

    slug: str
    function: Callable[..., Any]
    place: str
    name: str
    description: str
    schema: Mapping[str, Any]
    defaults: Mapping[str, Any]
    takes_context: bool
    hints: Mapping[str, Any] = field(repr=False)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_seconds: int = 3600
    priority: int | None = None
    max_concurrent_runs: int | None = None
    dedup_key: str | None = None
    dedup_mode: str = "return_existing"
    on_lost: str = "retry"
    isolated: bool = False
    memory_limit_mb: int | None = None
    retain_for_seconds: int | None = None
    tags: tuple[str, ...] = ()

    def arguments(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments for `function`: validated parameters, converted as its annotations promise."""
        return {name: value_of(self.hints.get(name, Any), value) for name, value in parameters.items()}


def problem_of(definition: JobDefinition, accepted: Mapping[str, Any]) -> str | None:
    """Why no job can be made of `definition`; None if one can. `accepted` is the signature's schema."""
    return _policy_problem(definition) or _schema_problem(definition, accepted)


def _policy_problem(definition: JobDefinition) -> str | None:
    for name, least in _LEAST.items():
        value = getattr(definition, name)
        if value is None and name != "timeout_seconds":
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            return f"{name} is {value!r}; expected a whole number from {least}."
    if definition.on_lost not in {"retry", "fail"}:
        return f"on_lost is {definition.on_lost!r}; expected 'retry' or 'fail'."
    if definition.memory_limit_mb is not None and not definition.isolated:
        return "memory_limit_mb is given without isolated=True; only a process of its own can be limited."
    tags: object = definition.tags
    if not isinstance(tags, tuple) or not all(isinstance(tag, str) for tag in tags):
        return f"tags is {tags!r}; expected texts, such as ('nightly',)."
    return _dedup_problem(definition)


def _dedup_problem(definition: JobDefinition) -> str | None:
    if definition.dedup_key == "":
        return "dedup_key is empty; expected a template such as '{customer}', or None."
    if definition.dedup_mode not in _DEDUP_MODES:
        return f"dedup_mode is {definition.dedup_mode!r}; expected one of {', '.join(_DEDUP_MODES)}."
    try:
        parse(definition.dedup_key or "")
    except BadTemplate as error:
        return f"dedup_key {error}"
    return None


def _schema_problem(definition: JobDefinition, accepted: Mapping[str, Any]) -> str | None:
    """Why schema, defaults and signature don't go together."""
    try:
        rules.check_schema(definition.schema)
    except rules.InvalidSchema as error:
        return f"the schema is invalid: {error}"
    declared = definition.schema.get("properties", {})
    if not accepted["additionalProperties"]:
        strange = [name for name in declared if name not in accepted["properties"]]
        if strange:
            return f"the schema has {', '.join(map(repr, strange))}, which the function does not take."
    absent = [
        name for name in accepted.get("required", []) if name not in definition.schema.get("required", [])
    ]
    if absent:
        return f"the function needs {', '.join(map(repr, absent))}, which the schema does not require."
    wrong = [f for f in rules.faults(definition.schema, definition.defaults) if f.code != "required"]
    return f"a default does not fit: {wrong[0].detail}" if wrong else None
