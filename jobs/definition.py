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
    "max_concurrent_per_key": 1,
    "max_starts": 1,
    "starts_window_seconds": 1,
    "start_within_seconds": 1,
    "finish_within_seconds": 1,
    "circuit_min_calls": 1,
    "circuit_window_seconds": 1,
    "circuit_cooldown_seconds": 1,
    "memory_limit_mb": 1,
    "retain_for_seconds": 0,
}


_MOST: Final = {
    "max_starts": 10_000,
    "starts_window_seconds": 86_400,
    "circuit_window_seconds": 86_400,
    "circuit_cooldown_seconds": 86_400,
}
_MAY_BE_NONE: Final = frozenset(
    {"max_concurrent_runs", "max_starts", "memory_limit_mb", "retain_for_seconds"}
    | {"start_within_seconds", "finish_within_seconds"}
)
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
    concurrency_key: str | None
    max_concurrent_per_key: int
    max_starts: int | None
    starts_window_seconds: int
    start_within_seconds: int | None
    finish_within_seconds: int | None
    circuit_failure_rate: float | None
    circuit_min_calls: int
    circuit_window_seconds: int
    circuit_cooldown_seconds: int
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
    most `memory_limit_mb` of memory. `start_within_seconds` and `finish_within_seconds`, from being due, are
    promises whose breach is noted. `dedup_key` and `concurrency_key` are templates such as "{customer}", and
    `dedup_mode` says what becomes of a launch that meets an open run of its key.
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
    concurrency_key: str | None = None
    max_concurrent_per_key: int = 1
    max_starts: int | None = None
    starts_window_seconds: int = 60
    start_within_seconds: int | None = None
    finish_within_seconds: int | None = None
    circuit_failure_rate: float | None = None
    circuit_min_calls: int = 10
    circuit_window_seconds: int = 60
    circuit_cooldown_seconds: int = 60
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
        if value is None and name in _MAY_BE_NONE:
            continue
        most = _MOST.get(name)
        if not _is_whole(value) or value < least or (most is not None and value > most):
            upto = f" to {most}" if most else ""
            return f"{name} is {value!r}; expected a whole number from {least}{upto}."
    if definition.on_lost not in {"retry", "fail"}:
        return f"on_lost is {definition.on_lost!r}; expected 'retry' or 'fail'."
    if definition.memory_limit_mb is not None and not definition.isolated:
        return "memory_limit_mb is given without isolated=True; only a process of its own can be limited."
    tags: object = definition.tags
    if not isinstance(tags, tuple) or not all(isinstance(tag, str) for tag in tags):
        return f"tags is {tags!r}; expected texts, such as ('nightly',)."
    return (
        _rate_problem(definition.circuit_failure_rate)
        or _key_problem("dedup_key", definition.dedup_key)
        or _mode_problem(definition.dedup_mode)
        or _key_problem("concurrency_key", definition.concurrency_key)
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _mode_problem(mode: object) -> str | None:
    if mode in _DEDUP_MODES:
        return None
    return f"dedup_mode is {mode!r}; expected one of {', '.join(_DEDUP_MODES)}."


def _rate_problem(rate: object) -> str | None:
    if rate is None or (isinstance(rate, int | float) and not isinstance(rate, bool) and 0.01 <= rate <= 1):
        return None
    return f"circuit_failure_rate is {rate!r}; expected a share from 0.01 to 1, or None."


def _key_problem(name: str, template: str | None) -> str | None:
    if template == "":
        return f"{name} is empty; expected a template such as '{{customer}}', or None."
    try:
        parse(template or "")
    except BadTemplate as error:
        return f"{name} {error}"
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
