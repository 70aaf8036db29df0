"""Imports the site, waits for a file, then is Celery: `python -m config.gate FILE celery -A config …`.

`up` starts its workers while the database is still being migrated, because most of their start is
importing. Without the banner, which nobody reads between the lines of seven processes.
"""

import sys
import time
import warnings
from pathlib import Path


def main() -> None:
    """Arguments: the file to wait for, the word `celery`, Celery's own arguments."""
    _, gate, _, *arguments = sys.argv
    from celery.bin import celery

    from config.celery import app

    app.loader.import_default_modules()
    while not Path(gate).exists():
        time.sleep(0.02)
    # `up` as root is a first look in a container, which an advice about users doesn't help.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser")
    sys.argv = ["celery", "--quiet", *arguments]
    sys.exit(celery.main())


if __name__ == "__main__":
    main()
