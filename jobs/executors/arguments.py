"""Decides what a `command` job may be configured to start, and makes argument list and environment of it."""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from jobs.executors.base import Launch
from jobs.executors.templating import BadTemplate, Template, Unfillable, is_absent, parse
from jobs.expectations import shown
from jobs.faults import Fault, pointer

KEYS: Final = ("argv", "env", "cwd", "stdin", "success_codes", "result")
RESULTS: Final = ("none", "last_json_line")
STDINS: Final = ("none", "parameters")
# LD_* and DYLD_* would load other code into an allowed program; HEADWAY_* is what we say ourselves.
_NAMES_REFUSED: Final = re.compile(r"(HEADWAY|LD|DYLD)_")


class MissingProgram(ValueError):
    """The program can't be started here: settings don't allow it, or it is not installed."""


def faults(configuration: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with a `command` job's configuration."""
    expected = ", ".join(KEYS)
    found = [
        Fault(pointer=pointer(key), code="unknown", detail=f"{key!r} is unknown; expected {expected}.")
        for key in configuration
        if key not in KEYS
    ]
    found += _argv_faults(configuration.get("argv"))
    found += _env_faults(configuration.get("env", {}))
    cwd = configuration.get("cwd", ".")
    codes = configuration.get("success_codes", [0])
    checks: list[tuple[str, bool, str]] = [
        ("cwd", isinstance(cwd, str) and cwd != "" and "\0" not in cwd, "a folder"),
        ("stdin", configuration.get("stdin", "none") in STDINS, " or ".join(map(repr, STDINS))),
        ("result", configuration.get("result", "none") in RESULTS, " or ".join(map(repr, RESULTS))),
        ("success_codes", _are_codes(codes), "a list of exit codes from 0 to 255, such as [0]"),
    ]
    found += [
        _fault((name,), "value", f"{name} is {shown(configuration[name])}; expected {wanted}.")
        for name, holds, wanted in checks
        if not holds
    ]
    return found


def program(name: str) -> str:
    """The path of an allowed program; raises MissingProgram."""
    if name not in settings.COMMAND_PROGRAMS:
        raise MissingProgram(_not_allowed(name))
    path = sys.executable if name == "python" else shutil.which(name)
    if path is None:
        raise MissingProgram(f"The program {name!r} is not installed on this machine.")
    return path


def argument_list(configuration: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """The arguments after the program, filled. Raises Unfillable.

    A list that stands alone in an item becomes an item for each element. An item whose parameter is not
    given is left out. A text that would make an option of an item (it starts with `-`) is refused,
    unless the configuration has `--` before it: what a caller sends must never be read as an option.
    """
    arguments: list[str] = []
    for item in configuration["argv"][1:]:
        template = parse(item)
        if is_absent(template, parameters):
            continue
        for values in _expanded(template, parameters):
            text = template.fill(values)
            if _is_option_by(template, values, text) and "--" not in arguments:
                raise Unfillable(_option_like(template.names[0], text, configuration["argv"][0]))
            arguments.append(text)
    return arguments


def _expanded(template: Template, parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parameters for each item that the template becomes: one, or one for each element of a list."""
    alone = template.only
    if alone is None or not isinstance(parameters[alone], list):
        return [parameters]
    return [{alone: element} for element in parameters[alone]]


def _is_option_by(template: Template, values: Mapping[str, Any], text: str) -> bool:
    """Whether an item starts with `-` only because of a parameter's text; a negative number is harmless."""
    if template.parts[0] or not text.startswith("-"):
        return False
    return isinstance(values[template.names[0]], str)


def environment(launch: Launch) -> dict[str, str]:
    """All that the program gets as its environment: nothing of the site's settings or secrets."""
    filled = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        # A Python program that writes to a pipe would keep its output back until it ends.
        "PYTHONUNBUFFERED": "1",
    }
    for name, value in launch.configuration.get("env", {}).items():
        template = parse(value)
        if not is_absent(template, launch.parameters):
            filled[name] = template.fill(launch.parameters)
    return filled | {
        "HEADWAY_RUN_ID": str(launch.run_id),
        "HEADWAY_ATTEMPT": str(launch.attempt),
        "HEADWAY_JOB": launch.job,
    }


def folder(configuration: Mapping[str, Any]) -> Path:
    """Where the program starts; a relative `cwd` counts from the site's own folder."""
    return Path(settings.BASE_DIR, configuration.get("cwd", "."))


def _argv_faults(argv: Any) -> Iterator[Fault]:
    if not isinstance(argv, list) or not argv or not all(isinstance(item, str) for item in argv):
        wanted = 'a list of texts that begins with a program, such as ["python", "-m", "report"]'
        yield _fault(("argv",), "type", f"argv is {shown(argv)}; expected {wanted}.")
        return
    if argv[0] not in settings.COMMAND_PROGRAMS:
        yield _fault(("argv", 0), "not_allowed", _not_allowed(argv[0]))
    for index, item in enumerate(argv[1:], start=1):
        yield from _template_faults(item, ("argv", index))


def _env_faults(env: Any) -> Iterator[Fault]:
    if not isinstance(env, Mapping):
        yield _fault(("env",), "type", f"env is {shown(env)}; expected an object of names and texts.")
        return
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or _NAMES_REFUSED.match(name):
            wanted = "letters, digits and _, and not LD_*, DYLD_* or HEADWAY_*"
            yield _fault(("env", name), "name", f"The variable {name!r} can't be set; expected {wanted}.")
        if not isinstance(value, str):
            yield _fault(("env", name), "type", f"env.{name} is {shown(value)}; expected a text.")
        else:
            yield from _template_faults(value, ("env", name))


def _template_faults(text: str, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if "\0" in text:
        yield _fault(path, "text", f"{shown(text)} holds U+0000, which can't be passed on.")
    try:
        parse(text)
    except BadTemplate as error:
        yield _fault(path, "template", str(error))


def _are_codes(codes: Any) -> bool:
    return (
        isinstance(codes, list)
        and bool(codes)
        and all(isinstance(code, int) and not isinstance(code, bool) and 0 <= code <= 255 for code in codes)
    )


def _not_allowed(name: str) -> str:
    allowed = ", ".join(map(repr, settings.COMMAND_PROGRAMS)) or "none"
    return f"The program {name!r} is not allowed; HEADWAY_COMMAND_PROGRAMS allows {allowed}."


def _option_like(parameter: str, text: str, name: str) -> str:
    return (
        f"the parameter {parameter!r} is {shown(text)}, which {name} could read as an option; write '--' "
        f"before {{{parameter}}} in argv, or --option={{{parameter}}}."
    )


def _fault(path: tuple[str | int, ...], code: str, detail: str) -> Fault:
    return Fault(pointer=pointer(*path), code=code, detail=detail)
