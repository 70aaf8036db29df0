"""Becomes another program that dies with its parent; run as a script, never imported.

    python -I -S leash.py PARENT SIGNAL UID:GID|- PROGRAM [ARGUMENT…]

PARENT is the process id that must still be ours, SIGNAL the number the kernel sends to the program when
that parent dies in whatever way, and UID:GID whom the program runs as (`-`: as ourselves). It replaces
itself by `exec`, so the program keeps this process id and is a direct child of the parent.

A script and not a `preexec_fn`: that would run Python between fork and exec, which may deadlock in a
process with threads. The kernel forgets the signal when the user changes, hence the order below.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, signal_number, account, *command = sys.argv[1:]
    if account != "-":
        uid, gid = account.split(":")
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(f"the parent process {parent} is gone")
    # Python ignores these for itself; an ignored signal would stay ignored in the program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} can't be started: {error.strerror}")


main()
