#!/usr/bin/env python
"""Headway's command line: `./manage.py help` lists what it can do."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["up"]:
        # It chooses the addresses and secrets that the settings are read from, so it goes before them.
        from config import devserver

        sys.exit(devserver.main(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
