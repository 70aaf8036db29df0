"""Makes `.venv` from a lock file; run by `make` with whatever Python the machine has, never imported.

    python3 .ci/bootstrap.py LOCK

Uses the standard library only, and no syntax that an old Python can't read: its first duty is to say
clearly what is missing. A second call costs a few milliseconds; a half-made or dead `.venv` is remade.
"""

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "headway.stamp")
# Each contains those before it.
LOCKS = ["requirements.lock", "requirements-embedded.lock", "requirements-dev.lock"]
SUPPORTED = "Headway needs Python 3.11, 3.12, 3.13 or 3.14"


def main(lock):
    refusal = missing()
    if refusal:
        sys.exit(refusal)
    with Turn():
        if not (is_whole() and stamped() in [stamp(enough) for enough in LOCKS[LOCKS.index(lock) :]]):
            install(lock)


def missing():
    """What this machine lacks, as one sentence, or None."""
    if not (3, 11) <= sys.version_info[:2] < (3, 15):
        found = "{}.{}".format(*sys.version_info[:2])
        return "{}, but {} is {}. Name another one: make PYTHON=python3.12 …".format(
            SUPPORTED, sys.executable, found
        )
    if sys.platform not in ("linux", "darwin"):
        return "Headway runs on Linux and macOS; this is {}.".format(sys.platform)
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        return (
            "{} has no module {}: install it first (on Debian and Ubuntu: apt install python3-venv).".format(
                sys.executable, error.name
            )
        )
    return None


def is_whole():
    """Whether `.venv` holds a Python that runs and is of this one's version."""
    try:
        answer = subprocess.check_output([PYTHON, "-c", "import sys; print(sys.version)"])
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.decode().strip() == sys.version.strip()


def stamped():
    try:
        with open(STAMP) as file:
            return file.read()
    except OSError:
        return ""


def stamp(lock):
    """What the stamp of a `.venv` made from `lock` says."""
    with open(os.path.join(ROOT, lock), "rb") as file:
        return "{} {}".format(lock, hashlib.sha256(file.read()).hexdigest())


def install(lock):
    """Install from `lock`, into a new `.venv` unless a whole one is there; stamp it last."""
    print("Installing the packages of {} into .venv …".format(lock), flush=True)
    if is_whole() and stamped():
        os.remove(STAMP)
    else:
        shutil.rmtree(VENV, ignore_errors=True)
        run([sys.executable, "-m", "venv", VENV], "making .venv")
    flags = [
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--require-hashes",
        "--only-binary=:all:",
    ]
    run([PYTHON, "-m", "pip", "install"] + flags + ["-r", os.path.join(ROOT, lock)], "installing " + lock)
    with open(STAMP, "w") as file:
        file.write(stamp(lock))


def run(command, what):
    code = subprocess.call(command, env=clean_environment())
    if code != 0:
        sys.exit(
            "{} failed (exit code {}, above is why). No matching distribution for a package means that it has "
            "no wheel for this platform; Headway's packages have them for Linux with glibc 2.28 or newer and "
            "macOS, on x86_64 and arm64.".format(what.capitalize(), code)
        )


def clean_environment():
    """Without what would make pip install elsewhere than into `.venv`."""
    strangers = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in strangers}


class Turn(object):
    """One installation at a time in this checkout; the lock is on the folder and leaves no file."""

    def __enter__(self):
        import fcntl

        self.folder = os.open(ROOT, os.O_RDONLY)
        fcntl.flock(self.folder, fcntl.LOCK_EX)

    def __exit__(self, *details):
        os.close(self.folder)


if __name__ == "__main__":
    main(sys.argv[1])
