"""Ties a process to its parent's life where the system can (Linux); elsewhere the heartbeat process cleans up."""

import ctypes
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(number: int) -> None:
    """Has the kernel send signal `number` to this process when its parent ends, in whatever way."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
