"""The executor of jobs that are programs: an argument list, never a shell, of programs settings allow."""

import errno
import json
import os
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import IO, Any, Final

from django.conf import settings

from jobs.executors import arguments, interruption, outcomes
from jobs.executors.attempt import Attempt, Stop
from jobs.executors.base import (
    Cancelled,
    Failed,
    InvalidConfiguration,
    JobContext,
    Launch,
    Outcome,
    Succeeded,
)
from jobs.executors.guard import Guard
from jobs.executors.lines import Lines
from jobs.executors.processes import (
    Ending,
    Escalation,
    ProcessTree,
    adopting,
    die_with_parent,
    signal_group,
    supervise,
)
from jobs.executors.templating import Unfillable

# Lines of stderr that stand where a Python job has its traceback.
ERROR_LINES: Final = 20
_BROKEN: Final = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENOEXEC}


class CommandExecutor:
    """Configuration: `argv`; if wanted `env`, `cwd`, `stdin`, `success_codes`, `result` (executors.md)."""

    slug: Final = "command"

    def check(self, configuration: Mapping[str, Any]) -> None:
        found = arguments.faults(configuration)
        if found:
            raise InvalidConfiguration(found)

    def execute(self, launch: Launch, context: JobContext) -> Outcome:
        interruption.forget()
        try:
            self.check(launch.configuration)
            return _Command(launch, context).run()
        except InvalidConfiguration as error:
            return outcomes.broken("InvalidConfiguration", str(error))
        except arguments.MissingProgram as error:
            return outcomes.broken("MissingProgram", str(error))
        except Unfillable as error:
            message = f"The command can't be made: {error}"
            return Failed(reason="error", type="Unfillable", message=message, retryable=False)
        except Exception as error:  # of ours or of the context: still an end of the attempt
            return outcomes.failed_by(error)
        finally:
            interruption.forget()


class _Command:
    """One attempt of a command, from the start of its process to its outcome."""

    def __init__(self, launch: Launch, context: JobContext) -> None:
        self._launch = launch
        self._attempt = Attempt(launch, context)
        self._name = launch.configuration["argv"][0]
        self._errors: deque[str] = deque(maxlen=ERROR_LINES)
        limit = settings.LOG_LINE_LIMIT
        self._output = Lines(self._attempt.log, limit=limit, keep=settings.RESULT_LIMIT)
        self._error_output = Lines(self._log_error, limit=limit)

    def run(self) -> Outcome:
        argv = arguments.argument_list(self._launch.configuration, self._launch.parameters)
        with adopting(), Guard() as guard, ExitStack() as files:
            tree = ProcessTree()
            try:
                child, readers = self._start([arguments.program(self._name), *argv], files)
            except OSError as error:
                return _not_started(self._name, error)
            guard.watch(child.pid)
            ending = supervise(child, tree, readers, self._attempt, partial(_escalation, child))
        if ending.left_behind:
            self._attempt.log(ending.remark, level="warning")
        return self._outcome(ending)

    def _start(self, argv: list[str], files: ExitStack) -> tuple["subprocess.Popen[bytes]", dict[int, Lines]]:
        output, output_end = os.pipe()
        errors, errors_end = os.pipe()
        try:
            child = subprocess.Popen(
                argv,
                stdin=files.enter_context(self._stdin()),
                stdout=output_end,
                stderr=errors_end,
                cwd=arguments.folder(self._launch.configuration),
                env=arguments.environment(self._launch),
                start_new_session=True,
                # Makes one system call through a library that is loaded already: safe beside threads.
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509
            )
        except BaseException:
            os.close(output)
            os.close(errors)
            raise
        finally:
            os.close(output_end)
            os.close(errors_end)
        return child, {output: self._output, errors: self._error_output}

    def _stdin(self) -> IO[bytes]:
        """A file and not a pipe: nobody has to keep writing while the program does not read."""
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the caller's ExitStack
        if self._launch.configuration.get("stdin") == "parameters":
            file.write(json.dumps(dict(self._launch.parameters)).encode())
            file.seek(0)
        return file

    def _log_error(self, line: str) -> None:
        self._errors.append(line)
        self._attempt.log(line, level="warning")

    def _outcome(self, ending: Ending) -> Outcome:
        said = outcomes.cut("\n".join(self._errors), outcomes.TRACEBACK_LIMIT)
        if ending.stop == "cancelled":
            return Cancelled()
        if ending.stop == "timeout":
            return outcomes.timed_out(self._attempt.timeout_seconds, trace=said)
        codes = self._launch.configuration.get("success_codes", [0])
        if ending.code in codes:
            return Succeeded(result=self._result())
        expected = " or ".join(map(str, codes))
        message = f"{self._name} {describe_exit(ending.code)}; expected code {expected}."
        return Failed(reason="error", type="ExitCode", message=message, traceback=said, result=self._result())

    def _result(self) -> Any:
        if self._launch.configuration.get("result", "none") == "none":
            return None
        try:
            return outcomes.as_json(json.loads(self._output.last))
        except (ValueError, RecursionError):
            self._attempt.log(
                "The last line of the output is not JSON, so there is no result.", level="warning"
            )
            return None


def describe_exit(code: int | None) -> str:
    """How a process ended: "exited with code 3", "was killed by SIGSEGV"."""
    if code is None:
        return "could not be ended"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # real-time signals have no names
        return f"was killed by signal {-code}"


def _escalation(child: "subprocess.Popen[bytes]", stop: Stop) -> Escalation:
    return [
        (0, partial(signal_group, child, signal.SIGTERM)),
        (settings.CANCEL_GRACE_SECONDS, partial(signal_group, child, signal.SIGKILL)),
    ]


def _not_started(name: str, error: OSError) -> Failed:
    """Why the program could not be started; what another machine or minute may mend can be tried again."""
    message = f"{name} could not be started: {error.strerror}"
    message += f" ({error.filename!r})." if error.filename else "."
    if error.errno in _BROKEN:
        return outcomes.broken("MissingProgram", message)
    retryable = error.errno != errno.E2BIG
    return Failed(reason="error", type="OSError", message=message, retryable=retryable)


executor = CommandExecutor()
