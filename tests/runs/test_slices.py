"""runs.slices: what a process asks the scheduler for, in a process of its own and as the kernel tells it back."""

import platform
import subprocess
import sys

import pytest

# The slice that sched_getattr(2) tells, in nanoseconds, and the niceness.
TOLD = """
import ctypes, os, struct
from runs import slices

def told():
    found = ctypes.create_string_buffer(48)
    ctypes.CDLL(None).syscall({"x86_64": 315, "aarch64": 275}[os.uname().machine], 0, found, 48, 0)
    _, _, _, nice, _, slice, _, _ = struct.unpack("=IIQiIQQQ", found.raw)
    return slice, nice

niceness = os.nice(3)
assert slices.forget()
usual = told()
assert slices.shorten()
short = told()
assert slices.forget()
assert told() == usual
assert short in [(slices.SHORT_NANOSECONDS, niceness), usual], short  # the same where the kernel takes no notice
assert usual[1] == niceness
"""


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"), reason="Linux only"
)
def test_a_process_asks_for_short_slices_and_takes_it_back_and_stays_as_nice_as_it_was() -> None:
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
