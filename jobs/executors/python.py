"""The executor of jobs that are Python functions: in the slot's process, or isolated in one of their own."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

from jobs import registry
from jobs.executors import interruption, outcomes
from jobs.executors.attempt import Attempt
from jobs.executors.base import Cancelled, Interrupted, InvalidConfiguration, JobContext, Launch, Outcome
from jobs.executors.capture import captured
from jobs.executors.timer import Timer
from jobs.faults import Fault
from jobs.registry import JobDefinition


class _Forks:
    """How many forks lie between this process and that which first loaded this."""

    generation = 0

    def count(self) -> None:
        self.generation += 1


_forks: Final = _Forks()
os.register_at_fork(after_in_child=_forks.count)


class PythonExecutor:
    """Configuration: `{}` for the function that was declared with the job's slug, or `{"function": slug}`."""

    slug: Final = "python"

    def check(self, configuration: Mapping[str, Any]) -> None:
        errors = [
            Fault(pointer=f"/{key}", code="unknown", detail=f"{key!r} is unknown; expected only 'function'.")
            for key in configuration
            if key != "function"
        ]
        function = configuration.get("function", "")
        if not isinstance(function, str):
            detail = f"'function' is {function!r}; expected the slug of a declared job."
            errors.append(Fault(pointer="/function", code="type", detail=detail))
        elif function and registry.get(function) is None:
            errors.append(Fault(pointer="/function", code="unknown", detail=_missing(function)))
        if errors:
            raise InvalidConfiguration(errors)

    def execute(self, launch: Launch, context: JobContext) -> Outcome:
        interruption.forget()
        function = launch.configuration.get("function") or launch.job
        definition = registry.get(function)
        if definition is None:
            return outcomes.broken("UnknownFunction", _missing(function))
        try:
            if definition.isolated:
                from jobs.executors.isolation import run_isolated

                return run_isolated(definition, launch, context)
            return run_here(definition, launch, context)
        except Exception as error:  # of ours or of the context: still an end of the attempt
            return outcomes.failed_by(error)
        finally:
            interruption.forget()


def run_here(definition: JobDefinition, launch: Launch, context: JobContext) -> Outcome:
    """Calls the function in this process and thread, which must be the main one; raises nothing of its."""
    attempt = Attempt(launch, context)
    timer = Timer(attempt)
    try:
        with timer, captured(attempt):
            result = interruption.exposed(partial(_call, definition, launch, attempt))
    except BaseException as error:
        return _ended_by(error, attempt, timer)
    if timer.rang:
        return outcomes.timed_out(attempt.timeout_seconds)
    return Cancelled() if attempt.told_cancelled else outcomes.succeeded(result)


def _call(definition: JobDefinition, launch: Launch, attempt: Attempt) -> Any:
    arguments = definition.arguments(launch.parameters)
    context = (attempt,) if definition.takes_context else ()
    generation = _forks.generation
    try:
        return definition.function(*context, **arguments)
    finally:
        if _forks.generation != generation:
            # The code forked, and its child came back too: it holds copies of our connections, and would end the
            # run a second time and go on as a slot.
            os._exit(0)


def _ended_by(error: BaseException, attempt: Attempt, timer: Timer) -> Outcome:
    """An exception after a time-out or a cancel comes from that, whatever the job's code made of it."""
    if timer.rang:
        trace = outcomes.failed_by(error).traceback
        return outcomes.timed_out(attempt.timeout_seconds, trace=trace)
    interrupted = isinstance(error, Interrupted) or isinstance(interruption.raised(), Interrupted)
    if not interrupted and not attempt.told_cancelled:
        return outcomes.failed_by(error)
    if not isinstance(error, Interrupted):
        attempt.log(f"While it stopped: {type(error).__name__}: {error}", level="warning")
    return Cancelled()


def _missing(function: str) -> str:
    near = get_close_matches(function, registry.definitions(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    errors = ", ".join(registry.import_errors())
    return f"No installed app declares a job function {function!r}{hint}" + (
        f" These modules could not be imported: {errors}." if errors else ""
    )


executor = PythonExecutor()
