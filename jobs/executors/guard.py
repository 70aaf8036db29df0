"""Kills the work's process group if the slot itself dies in the middle of it, by whatever signal."""

import os
import subprocess
from types import TracebackType
from typing import Final, Self

# Told the group first; then either a line comes, the work is over, or the end of the file: the slot is dead.
_SCRIPT: Final = 'read -r group && { read -r _ || kill -s KILL -- "-$group"; }'


class Guard:
    """A tiny shell beside the work, that waits for the slot's word or for its end.

    The kernel kills a process with its parent, if asked to (die_with_parent), but not what that has
    started. To be made before ProcessTree, which would take it for a part of the work.
    """

    def __init__(self) -> None:
        self._waiting, self._speaking = os.pipe()
        self._shell: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT],
                stdin=self._waiting,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            os.close(self._speaking)
            raise
        finally:
            os.close(self._waiting)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The work is over, with everything it started."""
        self._say("over")
        os.close(self._speaking)
        if self._shell is not None:
            self._shell.wait()

    def watch(self, pid: int) -> None:
        """From now on the group that `pid` leads dies with this process."""
        self._say(str(pid))

    def release(self) -> None:
        """For a forked child: a copy of our end would keep the slot's death from being noticed."""
        os.close(self._speaking)

    def _say(self, line: str) -> None:
        try:
            os.write(self._speaking, line.encode() + b"\n")
        except BrokenPipeError:  # someone has killed the guard; the work goes on without
            return
