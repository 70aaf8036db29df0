"""How soon a process that wakes is given a processor: the slice that it asks Linux's scheduler for.

Who asks for shorter slices goes before who asks for longer ones when both want a processor, and has no more of it for
that: no share is taken from anybody, as a priority would. So bulk, which fills every processor, is passed by what
somebody waits for. Kernels before 6.12 take no notice, and other systems know nothing of it.
"""

import ctypes
import os
import platform
import struct
from typing import Final

SHORT_NANOSECONDS: Final = 100_000  # the shortest there is
# What sched_setattr(2) has as number where Headway runs; and "keep the policy" of its flags.
_NUMBERS: Final = {"x86_64": 314, "aarch64": 274}
_KEEP_POLICY: Final = 0x08


def shorten() -> bool:
    """Asks for the shortest slices, for this process and whoever it starts from now on; whether that was taken."""
    return _ask(SHORT_NANOSECONDS)


def forget() -> bool:
    """Asks for slices as long as everybody's, for this process and whoever it starts from now on."""
    return _ask(0)


def _ask(nanoseconds: int) -> bool:
    number = _NUMBERS.get(platform.machine())
    if platform.system() != "Linux" or number is None:
        return False
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    # struct sched_attr: size, policy, flags, nice, priority; then runtime, deadline and period.
    asked = struct.pack("=IIQiIQQQ", 48, 0, _KEEP_POLICY, niceness, 0, nanoseconds, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, asked, 0) == 0)
