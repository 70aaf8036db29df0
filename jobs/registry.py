"""Knows every Python function that is a job: what `@job` declared, and where."""

import logging
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import getdoc
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar, Unpack

from django.apps import apps
from django.core.exceptions import ValidationError
from django.utils.module_loading import module_has_submodule

from jobs import priority as priorities
from jobs import signature
from jobs.annotations import Keywords
from jobs.definition import InvalidJob, JobDefinition, Policies, problem_of

__all__ = [
    "RESERVED_SLUGS",
    "SLUG_PATTERN",
    "InvalidJob",
    "JobDefinition",
    "Secret",
    "autodiscover",
    "definitions",
    "get",
    "import_errors",
    "job",
    "slug_problem",
    "validate_slug",
]

SLUG_PATTERN: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
SLUG_LENGTH: Final = 80
# Words that follow /api/jobs/ in addresses of their own.
RESERVED_SLUGS: Final = frozenset({"run", "trigger", "available-upstream"})

# A text parameter that pages, logs and the API never show.
Secret = Annotated[str, Keywords(format="password", writeOnly=True)]

Function = TypeVar("Function", bound=Callable[..., Any])
logger = logging.getLogger(__name__)


_definitions: dict[str, JobDefinition] = {}
_import_errors: dict[str, str] = {}


def job(
    slug: str,
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    **policies: Unpack[Policies],
) -> Callable[[Function], Function]:
    """Declares the decorated function a job; the function itself stays as it is.

    `parameters` is a JSON Schema; without it the schema is read from the signature. Without a name it is
    made of the slug, without a description it is the docstring. Raises InvalidJob.
    """

    def declare(function: Function) -> Function:
        place = _place(function)
        try:
            read = signature.read(function)
            definition = JobDefinition(
                slug=slug,
                function=function,
                place=place,
                name=name or slug.replace("-", " ").capitalize(),
                description=description if description is not None else getdoc(function) or "",
                schema=read.schema if parameters is None else parameters,
                defaults=read.defaults if parameters is None else _defaults(parameters, read.defaults),
                takes_context=read.takes_context,
                hints=read.hints,
                **_plain(policies),
            )
        except (signature.UnfitFunction, priorities.InvalidPriority, TypeError) as error:
            raise InvalidJob(f"Job {slug!r} ({place}): {error}") from None
        _register(definition, accepted=read.schema)
        return function

    return declare


def definitions() -> Mapping[str, JobDefinition]:
    """All declared jobs by slug; a live, read-only view."""
    return MappingProxyType(_definitions)


def get(slug: str) -> JobDefinition | None:
    """The job declared with this slug, or None."""
    return _definitions.get(slug)


def import_errors() -> Mapping[str, str]:
    """Modules of jobs that could not be imported, each with its error."""
    return MappingProxyType(_import_errors)


def autodiscover() -> None:
    """Imports `<app>/jobs.py` of every installed app; may be called again.

    A module that can't be imported must not take the site down: its jobs are missing, so they are shown
    as broken, and `import_errors` says why.
    """
    for app in apps.get_app_configs():
        if app.module is not None and module_has_submodule(app.module, "jobs"):
            _discover(f"{app.name}.jobs")


def _discover(module: str) -> None:
    before = dict(_definitions)
    try:
        import_module(module)
    except (Exception, SystemExit) as error:
        _definitions.clear()
        _definitions.update(before)
        _import_errors[module] = f"{type(error).__name__}: {error}"
        logger.exception("job_module_broken", extra={"module_name": module})
    else:
        _import_errors.pop(module, None)


def validate_slug(slug: str) -> None:
    """Django's validator for a job's slug; raises ValidationError."""
    problem = slug_problem(slug)
    if problem:
        raise ValidationError(problem, code="slug")


def slug_problem(slug: str) -> str | None:
    """Why `slug` can't be a job's slug, in a sentence; None if it can."""
    if slug in RESERVED_SLUGS:
        return f"{slug!r} is reserved; expected another slug than {', '.join(sorted(RESERVED_SLUGS))}."
    if len(slug) > SLUG_LENGTH or not re.fullmatch(SLUG_PATTERN, slug) or slug.endswith("\n"):
        return (
            f"{slug!r} is not a slug; expected at most {SLUG_LENGTH} characters: small letters, digits "
            "and single hyphens between them, such as 'daily-report'."
        )
    return None


def _place(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    line = f", line {code.co_firstlineno}" if code else ""
    return f"{function.__module__}.{getattr(function, '__qualname__', function)}{line}"


def _plain(policies: Policies) -> dict[str, Any]:
    """The policies with a priority's name as its number, and a list of tags as a tuple."""
    said: dict[str, Any] = dict(policies)
    if isinstance(said.get("tags"), list):
        said["tags"] = tuple(said["tags"])
    if said.get("priority") is not None:
        said["priority"] = priorities.parse(said["priority"])
    return said


def _defaults(schema: Mapping[str, Any], of_signature: Mapping[str, Any]) -> dict[str, Any]:
    """The schema's own defaults before the signature's; what the schema does not declare has none."""
    properties = schema.get("properties", {})
    stated = {name: inner["default"] for name, inner in properties.items() if "default" in inner}
    return {name: value for name, value in of_signature.items() if name in properties} | stated


def _register(definition: JobDefinition, *, accepted: Mapping[str, Any]) -> None:
    problem = slug_problem(definition.slug) or problem_of(definition, accepted)
    if problem:
        raise InvalidJob(f"Job {definition.slug!r} ({definition.place}): {problem}")
    other = _definitions.get(definition.slug)
    if other is not None and _origin(other) != _origin(definition):
        raise InvalidJob(f"Two jobs are called {definition.slug!r}: {other.place} and {definition.place}.")
    _definitions[definition.slug] = definition


def _origin(definition: JobDefinition) -> tuple[str, str]:
    """Equal for the same function of a module that was imported again."""
    return definition.function.__module__, definition.function.__qualname__
