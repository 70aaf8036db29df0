"""Jobs that are programs: how the argument list is made, what the program sees, and how it ends."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytest_django import Settings

from jobs import executors
from jobs.executors import Cancelled, Failed, InvalidConfiguration, Outcome, Succeeded
from tests.jobs.contexts import RecordingContext, a_launch, wait_until

ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"


@pytest.fixture(autouse=True)
def short_grace(settings: Settings) -> None:
    settings.CANCEL_GRACE_SECONDS = 0.3
    settings.COMMAND_PROGRAMS = ["python", "sh", "sleep", "no-such-program"]


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


def run(
    context: RecordingContext,
    *argv: str,
    parameters: Mapping[str, Any] | None = None,
    timeout_seconds: float | None = 20,
    **configuration: Any,
) -> Outcome:
    launch = a_launch(
        "command",
        {"argv": list(argv), **configuration},
        parameters=parameters,
        timeout_seconds=timeout_seconds,
    )
    return executors.get("command").execute(launch, context)


def python(context: RecordingContext, script: str, **more: Any) -> Outcome:
    """Runs a script, whose braces are meant as such."""
    escaped = textwrap.dedent(script).replace("{", "{{").replace("}", "}}")
    return run(context, "python", "-c", escaped, **more)


def echoed(context: RecordingContext, *argv: str, **parameters: Any) -> Any:
    """What a program gets for these items of argv."""
    outcome = run(context, "python", "-c", ECHO, *argv, parameters=parameters, result="last_json_line")
    assert isinstance(outcome, Succeeded), outcome
    return outcome.result


def failed(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


# The argument list


@pytest.mark.parametrize(
    ("argv", "parameters", "expected"),
    [
        (["plain"], {}, ["plain"]),
        (["{name}"], {"name": "Ada Lovelace"}, ["Ada Lovelace"]),
        (["--name={name}"], {"name": "-rf"}, ["--name=-rf"]),
        (["{a}-{b}"], {"a": 1, "b": True}, ["1-true"]),
        (["{{literal}}"], {}, ["{literal}"]),
        (["{names}"], {"names": ["a", "b c"]}, ["a", "b c"]),
        (["{names}"], {"names": []}, []),
        (["--names={names}"], {"names": ["a", 1]}, ['--names=["a", 1]']),
        (["{filter}"], {"filter": {"min": 1}}, ['{"min": 1}']),
        (["a", "{absent}", "--x={absent}", "b"], {}, ["a", "b"]),
        (["{null}", "b"], {"null": None}, ["b"]),
        (["{number}"], {"number": -5}, ["-5"]),
        (["--", "{name}"], {"name": "--help"}, ["--", "--help"]),
        (["{name}"], {"name": "caf\u00e9 \U0001f680"}, ["caf\u00e9 \U0001f680"]),
        (["{name}"], {"name": "{other}", "other": "no"}, ["{other}"]),
        (["{name}"], {"name": "; rm -rf / $(id) `id` | cat"}, ["; rm -rf / $(id) `id` | cat"]),
    ],
)
def test_parameters_become_arguments(
    context: RecordingContext, argv: list[str], parameters: dict[str, Any], expected: list[str]
) -> None:
    assert echoed(context, *argv, **parameters) == expected


@pytest.mark.parametrize("parameters", [{"name": "--config=/etc/passwd"}, {"name": ["ok", "-x"]}])
def test_a_value_never_becomes_an_option(context: RecordingContext, parameters: dict[str, Any]) -> None:
    outcome = failed(run(context, "python", "-c", ECHO, "{name}", parameters=parameters))
    assert not outcome.retryable
    assert "could read as an option; write '--' before {name}" in outcome.message


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_a_value_that_no_argument_can_hold_is_refused(context: RecordingContext, value: str) -> None:
    outcome = failed(run(context, "python", "-c", ECHO, "{name}", parameters={"name": value}))
    assert "'name' holds U+0000 or half a surrogate pair" in outcome.message


def test_too_long_an_argument_list_is_an_error_that_no_retry_mends(context: RecordingContext) -> None:
    outcome = failed(run(context, "python", "-c", ECHO, "{name}", parameters={"name": "x" * 3_000_000}))
    assert not outcome.retryable
    assert "python could not be started" in outcome.message


# What the program sees


def test_the_environment_is_ours_and_nothing_else(
    context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    outcome = python(
        context,
        "import json, os; print(json.dumps(dict(os.environ)))",
        env={"CITY": "{city}", "NONE": "{absent}"},
        parameters={"city": "Indianapolis"},
        result="last_json_line",
    )
    assert isinstance(outcome, Succeeded)
    outcome.result.pop("LC_CTYPE", None)  # Python's own, in the C locale
    assert outcome.result == {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "CITY": "Indianapolis",
        "HEADWAY_RUN_ID": "7",
        "HEADWAY_ATTEMPT": "2",
        "HEADWAY_JOB": "sample",
    }


def test_no_file_of_the_slot_is_open_in_the_program(context: RecordingContext, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        outcome = python(
            context,
            "import json, os; print(json.dumps(sorted(os.listdir('/proc/self/fd'))))",
            result="last_json_line",
        )
    assert isinstance(outcome, Succeeded)
    assert outcome.result[:3] == ["0", "1", "2"]
    assert len(outcome.result) <= 4  # and the one that lists


def test_standard_input_may_carry_the_parameters(context: RecordingContext) -> None:
    outcome = python(
        context,
        "import json, sys; print(json.dumps(json.load(sys.stdin)))",
        stdin="parameters",
        parameters={"secret": "s\u00e9same", "n": [1]},
        result="last_json_line",
    )
    assert outcome == Succeeded(result={"secret": "s\u00e9same", "n": [1]})


def test_without_it_standard_input_is_empty(context: RecordingContext) -> None:
    assert python(context, "import sys; sys.exit(len(sys.stdin.read()))") == Succeeded()


def test_the_program_starts_in_the_sites_folder_or_in_cwd(
    context: RecordingContext, settings: Settings, tmp_path: Path
) -> None:
    where = "import json, os; print(json.dumps(os.getcwd()))"
    result = "last_json_line"
    assert python(context, where, result=result) == Succeeded(result=str(settings.BASE_DIR))
    assert python(context, where, result=result, cwd="jobs") == Succeeded(
        result=str(settings.BASE_DIR / "jobs")
    )
    assert python(context, where, result=result, cwd=str(tmp_path)) == Succeeded(result=str(tmp_path))


# How it ends


def test_exit_codes_of_success_are_configured(context: RecordingContext) -> None:
    assert python(context, "import sys; sys.exit(4)", success_codes=[0, 4]) == Succeeded()
    outcome = failed(python(context, "import sys; sys.exit(5)", success_codes=[0, 4]))
    assert outcome.message == "python exited with code 5; expected code 0 or 4."
    assert outcome.retryable


def test_a_signal_that_killed_it_is_named(context: RecordingContext) -> None:
    outcome = failed(python(context, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    assert "python was killed by SIGSEGV" in outcome.message


def test_the_last_lines_of_stderr_stand_in_for_a_traceback(context: RecordingContext) -> None:
    script = "import sys\nfor n in range(100): print(n, file=sys.stderr)\nprint('out')\nsys.exit(1)"
    outcome = failed(python(context, script))
    assert outcome.traceback.splitlines() == [str(number) for number in range(80, 100)]
    assert ("warning", "0") in context.lines
    assert ("info", "out") in context.lines


def test_the_last_line_may_be_the_result(context: RecordingContext) -> None:
    outcome = python(context, "print('talk'); print('{\"scraped\": 5}'); print()", result="last_json_line")
    assert outcome == Succeeded(result={"scraped": 5})


@pytest.mark.parametrize("last", ["no JSON", "", "NaN"])
def test_a_last_line_that_is_no_json_is_no_result_and_no_failure(
    context: RecordingContext, last: str
) -> None:
    outcome = python(context, f"print({last!r})", result="last_json_line")
    assert outcome == Succeeded(result=None)
    assert context.lines[-1][0] == "warning"


def test_a_long_last_line_is_a_whole_result_though_the_log_cuts_it(
    context: RecordingContext, settings: Settings
) -> None:
    settings.LOG_LINE_LIMIT = 100
    outcome = python(context, "import json; print(json.dumps('x' * 5000))", result="last_json_line")
    assert outcome == Succeeded(result="x" * 5000)
    assert len(context.lines[0][1]) == 100


@pytest.mark.parametrize(
    ("argv", "more", "said"),
    [
        (["no-such-program"], {}, "'no-such-program' is not installed"),
        (["/bin/true"], {}, "'/bin/true' is not allowed; HEADWAY_COMMAND_PROGRAMS allows 'python', 'sh'"),
        (["python", "-c", "pass"], {"cwd": "no/such/folder"}, "No such file or directory"),
    ],
)
def test_what_cannot_be_started_is_broken(
    context: RecordingContext, argv: list[str], more: dict[str, Any], said: str
) -> None:
    outcome = failed(run(context, *argv, **more))
    assert (outcome.reason, outcome.retryable) == ("broken", False)
    assert said in outcome.message


# While it runs


def test_lines_arrive_while_the_program_runs(context: RecordingContext) -> None:
    """Otherwise the cancel, which the first line asks for, would come too late."""
    context.cancel_when = lambda line: line == "first"
    assert python(context, "import time; print('first'); time.sleep(60); print('second')") == Cancelled()
    assert context.lines == [("info", "first")]


def test_a_line_without_its_end_arrives_after_a_moment(context: RecordingContext) -> None:
    context.cancel_when = lambda line: line == "Your name? "
    assert python(context, "import time; print('Your name? ', end=''); time.sleep(60)") == Cancelled()


def test_a_line_that_came_in_two_parts_is_still_one_result(context: RecordingContext) -> None:
    script = "import time; print('{\"a\":', end=''); time.sleep(0.9); print('1}')"
    assert python(context, script, result="last_json_line") == Succeeded(result={"a": 1})


def test_a_program_may_tidy_up_when_it_is_cancelled(context: RecordingContext) -> None:
    script = """
        import signal, sys, time
        def stop(*args):
            print("tidied up")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("ready")
        time.sleep(60)
    """
    context.cancel_when = lambda line: line == "ready"
    assert python(context, script) == Cancelled()
    assert context.lines[-1] == ("info", "tidied up")


DEAF = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid()); time.sleep(60)"


def test_a_program_that_ignores_sigterm_is_killed(context: RecordingContext) -> None:
    context.cancel_when = str.isdigit
    assert python(context, DEAF) == Cancelled()
    assert not psutil.pid_exists(int(context.lines[0][1]))


def test_its_children_die_with_it(context: RecordingContext) -> None:
    script = f"""
        import subprocess, sys
        subprocess.Popen([sys.executable, "-c", {DEAF!r}]).wait()
    """
    context.cancel_when = str.isdigit
    assert python(context, script) == Cancelled()
    assert not psutil.pid_exists(int(context.lines[0][1]))


def test_a_daemon_that_forked_away_dies_with_it(context: RecordingContext) -> None:
    script = f"""
        import os, subprocess, sys, time
        daemon = "import os; os.fork() and os._exit(0); os.setsid(); " + {DEAF!r}
        subprocess.Popen([sys.executable, "-u", "-c", daemon]).wait()
        time.sleep(60)
    """
    context.cancel_when = str.isdigit
    assert python(context, script) == Cancelled()
    assert not psutil.pid_exists(int(context.lines[0][1]))


def test_what_a_program_leaves_behind_is_killed_and_said(context: RecordingContext) -> None:
    outcome = run(context, "sh", "-c", "sleep 60 & echo $!")
    assert outcome == Succeeded()
    assert not psutil.pid_exists(int(context.lines[0][1]))
    assert context.lines[1] == ("warning", "1 process left behind by the work: killed.")


def test_a_program_that_closes_its_outputs_early_is_waited_for(context: RecordingContext) -> None:
    script = "import os, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(6)"
    assert "code 6" in failed(python(context, script)).message


def test_other_children_of_the_slot_are_left_alone(context: RecordingContext) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        python(context, "print(1)")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


SLOT = """
    import os, subprocess, sys
    import django
    from django.conf import settings
    settings.configure(
        BASE_DIR=".", CANCEL_GRACE_SECONDS=1, COMMAND_PROGRAMS=["sh"], DATABASES={}, INSTALLED_APPS=[],
        LOGGING_CONFIG=None, LOG_LINE_LIMIT=1000, RESULT_LIMIT=1000,
    )
    django.setup()
    from jobs import executors, registry
    from tests.jobs.contexts import RecordingContext, a_launch
    context = RecordingContext()
    context.log = lambda *message, level="info": os.write(1, f"{message[0]}\\n".encode())
    @registry.job("forking", isolated=True)
    def forking(context):
        os.fork() or os.fork()
        context.log(os.getpid())
        import time; time.sleep(60)
"""


@pytest.mark.parametrize(
    ("work", "processes"),
    [
        ('a_launch("command", {"argv": ["sh", "-c", "echo $$; sleep 60 & echo $!; wait"]})', 2),
        ('a_launch("python", job="forking")', 3),
    ],
)
def test_the_work_dies_with_its_slot_and_so_does_what_it_started(work: str, processes: int) -> None:
    script = (
        textwrap.dedent(SLOT) + f"launch = {work}\nexecutors.get(launch.executor).execute(launch, context)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    slot = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment)
    assert slot.stdout is not None
    with slot.stdout:
        pids = [int(slot.stdout.readline()) for _ in range(processes)]
        assert all(map(psutil.pid_exists, pids))
        slot.kill()
        slot.wait()
    assert wait_until(lambda: not any(map(psutil.pid_exists, pids)))


# What may be configured


@pytest.mark.parametrize(
    ("configuration", "pointer", "said"),
    [
        ({}, "/argv", "argv is null; expected a list of texts that begins with a program"),
        ({"argv": []}, "/argv", "argv is []"),
        ({"argv": "ls -l"}, "/argv", 'argv is "ls -l"'),
        ({"argv": ["python", 1]}, "/argv", "expected a list of texts"),
        ({"argv": ["bash", "-c", "ls"]}, "/argv/0", "'bash' is not allowed"),
        ({"argv": ["{program}"]}, "/argv/0", "'{program}' is not allowed"),
        ({"argv": ["python", "{a b}"]}, "/argv/1", "that is no placeholder"),
        ({"argv": ["python", "ok", "100%}"]}, "/argv/2", "has a '}' at character 5"),
        ({"argv": ["python", "a\0"]}, "/argv/1", "U+0000"),
        ({"argv": ["python"], "env": []}, "/env", "expected an object"),
        ({"argv": ["python"], "env": {"LD_PRELOAD": "x"}}, "/env/LD_PRELOAD", "can't be set"),
        ({"argv": ["python"], "env": {"HEADWAY_RUN_ID": "1"}}, "/env/HEADWAY_RUN_ID", "can't be set"),
        ({"argv": ["python"], "env": {"A B": "1"}}, "/env/A B", "can't be set"),
        ({"argv": ["python"], "env": {"A": 1}}, "/env/A", "env.A is 1; expected a text"),
        ({"argv": ["python"], "env": {"A": "{"}}, "/env/A", "no placeholder"),
        ({"argv": ["python"], "cwd": ""}, "/cwd", "expected a folder"),
        ({"argv": ["python"], "stdin": "file"}, "/stdin", "expected 'none' or 'parameters'"),
        ({"argv": ["python"], "result": "xml"}, "/result", "expected 'none' or 'last_json_line'"),
        ({"argv": ["python"], "success_codes": [256]}, "/success_codes", "from 0 to 255"),
        ({"argv": ["python"], "success_codes": []}, "/success_codes", "from 0 to 255"),
        ({"argv": ["python"], "shell": True}, "/shell", "'shell' is unknown; expected argv, env"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_place(
    configuration: dict[str, Any], pointer: str, said: str
) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        executors.get("command").check(configuration)
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert said in refused.value.errors[0].detail


def test_several_faults_are_found_at_once() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        executors.get("command").check({"argv": ["python", "{"], "cwd": 1, "x": 2})
    assert [error.pointer for error in refused.value.errors] == ["/x", "/argv/1", "/cwd"]
